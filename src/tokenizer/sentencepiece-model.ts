/** Reading `tokenizer.model`: the part of SentencePiece's ModelProto (sentencepiece_model.proto) that BPE needs. */

import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { InputError } from '../errors.js';
import { MAX_PIECES, PieceKind } from './pieces.js';

/** What a `tokenizer.model` holds. Defaults are those of the proto file. */
export interface SentencePieceModel {
  readonly pieces: string[];
  /** By piece: merges are done from the highest score down. */
  readonly scores: number[];
  readonly kinds: PieceKind[];
  readonly trainer: {
    /** 1 unigram, 2 BPE, 3 word, 4 char. */
    modelType: number;
    whitespaceAsSuffix: boolean;
    byteFallback: boolean;
    /** -1: none. */
    bosId: number;
    eosId: number;
    padId: number;
    /** How the unknown piece is written in decoded text. */
    unknownSurface: string;
  };
  readonly normalizer: {
    /** Bytes of the compiled character map; 0 is the identity. */
    charsmapBytes: number;
    addDummyPrefix: boolean;
    removeExtraWhitespaces: boolean;
    escapeWhitespaces: boolean;
  };
  /** Bytes of the denormalizer's character map. */
  denormalizerBytes: number;
}

/**
 * Reads a ModelProto.
 * @throws InputError naming `file` where the bytes are not one.
 */
export function parseSentencePieceModel(bytes: Uint8Array, file: string): SentencePieceModel {
  const model: SentencePieceModel = {
    pieces: [],
    scores: [],
    kinds: [],
    trainer: {
      modelType: 1,
      whitespaceAsSuffix: false,
      byteFallback: false,
      bosId: 1,
      eosId: 2,
      padId: -1,
      unknownSurface: ' \u2047 ',
    },
    normalizer: {
      charsmapBytes: 0,
      addDummyPrefix: true,
      removeExtraWhitespaces: true,
      escapeWhitespaces: true,
    },
    denormalizerBytes: 0,
  };
  const reader = new BinaryReader(bytes);
  try {
    readMessage(reader, reader.len, (field, type) => {
      if (type !== WireType.LengthDelimited) return false;
      if (field === 1) readPiece(reader, model);
      else if (field === 2) readTrainer(reader, model);
      else if (field === 3) readNormalizer(reader, model);
      else if (field === 5) readDenormalizer(reader, model);
      else return false;
      return true;
    });
    if (model.pieces.length === 0) throw new Error('it holds no pieces');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InputError(`${file} is not a SentencePiece model, or it is damaged: ${reason}.`, {
      details: { file },
      cause,
    });
  }
  return model;
}

/** Reads one field and says so; a field that it does not know, or that has another wire type, it leaves to be skipped. */
type FieldReader = (field: number, type: WireType) => boolean;

function readMessage(reader: BinaryReader, end: number, readField: FieldReader): void {
  if (end > reader.len) throw new Error('a message runs over the end of the file');
  while (reader.pos < end) {
    const [field, type] = reader.tag();
    if (!readField(field, type)) reader.skip(type, field);
  }
  if (reader.pos !== end) throw new Error('a field runs over the end of its message');
}

function readSubmessage(reader: BinaryReader, readField: FieldReader): void {
  const length = reader.uint32();
  readMessage(reader, reader.pos + length, readField);
}

function readPiece(reader: BinaryReader, model: SentencePieceModel): void {
  let text = '';
  let score = 0;
  let kind: number = PieceKind.normal;
  readSubmessage(reader, (field, type) => {
    if (field === 1 && type === WireType.LengthDelimited) text = reader.string(true);
    else if (field === 2 && type === WireType.Bit32) score = reader.float();
    else if (field === 3 && type === WireType.Varint) kind = reader.int32();
    else return false;
    return true;
  });
  const id = model.pieces.length;
  if (id >= MAX_PIECES) throw new Error(`it has more than ${MAX_PIECES} pieces`);
  if (text === '') throw new Error(`piece ${id} is empty`);
  if (Number.isNaN(score)) throw new Error(`piece ${id} has no score`);
  if (!isPieceKind(kind)) throw new Error(`piece ${id} is of kind ${kind}, which does not exist`);
  model.pieces.push(text);
  model.scores.push(score);
  model.kinds.push(kind);
}

function isPieceKind(kind: number): kind is PieceKind {
  return kind >= PieceKind.normal && kind <= PieceKind.byte;
}

function readTrainer(reader: BinaryReader, { trainer }: SentencePieceModel): void {
  readSubmessage(reader, (field, type) => {
    if (field === 44 && type === WireType.LengthDelimited) trainer.unknownSurface = reader.string(true);
    else if (type !== WireType.Varint) return false;
    else if (field === 3) trainer.modelType = reader.int32();
    else if (field === 24) trainer.whitespaceAsSuffix = reader.bool();
    else if (field === 35) trainer.byteFallback = reader.bool();
    else if (field === 41) trainer.bosId = reader.int32();
    else if (field === 42) trainer.eosId = reader.int32();
    else if (field === 43) trainer.padId = reader.int32();
    else return false;
    return true;
  });
}

function readNormalizer(reader: BinaryReader, { normalizer }: SentencePieceModel): void {
  readSubmessage(reader, (field, type) => {
    if (field === 2 && type === WireType.LengthDelimited) normalizer.charsmapBytes = reader.bytes().length;
    else if (type !== WireType.Varint) return false;
    else if (field === 3) normalizer.addDummyPrefix = reader.bool();
    else if (field === 4) normalizer.removeExtraWhitespaces = reader.bool();
    else if (field === 5) normalizer.escapeWhitespaces = reader.bool();
    else return false;
    return true;
  });
}

function readDenormalizer(reader: BinaryReader, model: SentencePieceModel): void {
  readSubmessage(reader, (field, type) => {
    if (field !== 2 || type !== WireType.LengthDelimited) return false;
    model.denormalizerBytes = reader.bytes().length;
    return true;
  });
}
