/** Which ids begin, end and fill up a text. */

import { type Tokenizer, type TokenizerSettings, tokenId } from './tokenizer.js';

/** What a vocabulary's own file says of its special ids. */
export interface OwnSpecialIds {
  readonly idOf: (piece: string) => number | undefined;
  /** Whether an id is a control token, left out of decoded text. */
  readonly isControl: (id: number) => boolean;
  /** The ids that the file names. */
  readonly bosId?: number | undefined;
  readonly eosId?: number | undefined;
  readonly padId?: number | undefined;
}

/** How the end of a text is written in vocabularies whose files do not name it: Llama 2's and Mistral's, Llama 3's, GPT-NeoX's, Gemma's. */
const USUAL_ENDS = ['</s>', '<|end_of_text|>', '<|endoftext|>', '<eos>'];

/** The special ids, taken from the vocabulary and from the settings beside it. */
export function specialIds(
  own: OwnSpecialIds,
  settings: TokenizerSettings,
): Pick<Tokenizer, 'bosId' | 'eosIds' | 'padId'> {
  const named = (token: string | undefined) => (token === undefined ? undefined : own.idOf(token));
  const bos = named(settings.bosToken) ?? own.bosId ?? settings.bosId;
  const eos = named(settings.eosToken) ?? own.eosId;
  const pad = named(settings.padToken) ?? own.padId ?? settings.padId;
  const said = [...(eos === undefined ? [] : [eos]), ...(settings.eosIds ?? [])];
  const usual = () => USUAL_ENDS.map(own.idOf).find((id) => id !== undefined && own.isControl(id));
  const eosIds = new Set(said.length > 0 ? said : [usual()].filter((id) => id !== undefined));
  return {
    ...(bos === undefined ? {} : { bosId: tokenId(bos) }),
    ...(pad === undefined ? {} : { padId: tokenId(pad) }),
    eosIds: [...eosIds].map(tokenId),
  };
}
