/**
 * Weights as onnxruntime lays them out for this processor, kept from one run to the next in the user's cache folder. Loading them maps a file instead of packing
 * every matrix (an int8 model of 2.8 GB: 1.8 to 2.1 s instead of 4.2 to 5.6), and processes that run the same model share the memory. The price is a file of 2.2 times
 * the model's size. onnxruntime itself compares each packed matrix's hash with the model's, so another library or processor can only make an entry useless.
 */

import { createHash } from 'node:crypto';
import {
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { requireRoom } from '../disk-room.js';
import { MODEL_DATA_FILE, MODEL_FILE } from '../graph/save.js';

/** What an entry is good for. */
export interface PrepackedKey {
  /** The model folder's hash. */
  readonly model: string;
  /** Version of onnxruntime-node. */
  readonly onnxruntime: string;
  /** Platform, processor and its features. */
  readonly machine: string;
  /** Session options that change the graph or the layout. */
  readonly options: string;
}

/** What `entry.json` says: written last, so an entry that has it is complete. */
interface EntryRecord {
  readonly key: PrepackedKey;
  readonly graph: { readonly bytes: number; readonly sha256: string };
  readonly data: { readonly bytes: number };
}

/** Bytes that all entries together may take. */
const LIMIT = 20 * 2 ** 30;
/** Packed and not, and the transposed head, for each byte of an int8 model: measured 2.2. */
const GROWTH = 2.4;
/** After so long an unfinished entry was given up, and a model's first load forgotten. */
const UNFINISHED_MS = 24 * 3600 * 1000;

const RECORD_FILE = 'entry.json';

/** A model file to load instead of the model's own. */
export interface PackedModel {
  readonly modelFile: string;
  /** Takes it out of the cache. */
  remove(): Promise<void>;
}

/** One model's place in the cache. */
export class PrepackedEntry {
  readonly #cache: string;
  readonly #folder: string;

  /** @param cache the folder of all entries, which need not exist. */
  constructor(
    cache: string,
    readonly key: PrepackedKey,
  ) {
    const name = createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 32);
    this.#cache = cache;
    this.#folder = join(cache, name);
  }

  /** What was kept; undefined where there is nothing. A damaged entry is removed. */
  async find(): Promise<PackedModel | undefined> {
    const empty = (await readdir(this.#folder).catch(() => [])).length === 0;
    if (empty) return undefined;
    // An entry gets its place when it is complete, so what is there without a record is damaged.
    const record = await readRecord(this.#folder);
    if (!record) {
      await this.#remove();
      return undefined;
    }
    const graph = await readFile(join(this.#folder, MODEL_FILE)).catch(() => undefined);
    const data = await stat(join(this.#folder, MODEL_DATA_FILE)).catch(() => undefined);
    const whole =
      JSON.stringify(record.key) === JSON.stringify(this.key) &&
      graph !== undefined &&
      sha256(graph) === record.graph.sha256 &&
      data?.size === record.data.bytes;
    if (!whole) {
      await this.#remove();
      return undefined;
    }
    const now = new Date();
    await utimes(join(this.#folder, RECORD_FILE), now, now).catch(() => {});
    return { modelFile: join(this.#folder, MODEL_FILE), remove: () => this.#remove() };
  }

  /** Remembers that the model was loaded; true where it had been before. */
  async loadedBefore(): Promise<boolean> {
    const first = await mkdir(this.#folder, { recursive: true });
    return first === undefined;
  }

  /**
   * Makes the entry: room for it, `write` into a folder beside its place, everything onto the disk, then a rename. Where another process was quicker, its entry stays.
   * @param modelBytes of the model's files.
   * @throws UnavailableError where the disk is full, and whatever `write` and the file system throw.
   */
  async make(
    modelBytes: number,
    write: (graphFile: string) => Promise<void>,
  ): Promise<PackedModel | undefined> {
    const bytes = modelBytes * GROWTH;
    if (bytes > LIMIT) throw new Error('the model is too large for the cache');
    await prune(this.#cache, this.key.onnxruntime, LIMIT - bytes);
    await requireRoom(this.#cache, bytes, 'The packed model', 'Set RECGEMMA_PREPACK=0 to do without.');
    const partial = await mkdtemp(`${this.#folder}.partial-`);
    try {
      await write(join(partial, MODEL_FILE));
      const graph = await readFile(join(partial, MODEL_FILE));
      const { size } = await stat(join(partial, MODEL_DATA_FILE));
      const record: EntryRecord = {
        key: this.key,
        graph: { bytes: graph.byteLength, sha256: sha256(graph) },
        data: { bytes: size },
      };
      await writeFile(join(partial, RECORD_FILE), JSON.stringify(record));
      for (const file of [MODEL_FILE, MODEL_DATA_FILE, RECORD_FILE]) await flush(join(partial, file));
      // The mark of the first load is an empty folder; what is not empty is another process's entry, and makes the rename fail.
      await rmdir(this.#folder).catch(() => {});
      await rename(partial, this.#folder);
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      if ((await readRecord(this.#folder)) === undefined) throw error;
    }
    return this.find();
  }

  async #remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Removes entries of other versions, what was given up, and then those longest unused until `limit` bytes are left. */
async function prune(cache: string, onnxruntime: string, limit: number): Promise<void> {
  const names = await readdir(cache).catch(() => []);
  const entries = await Promise.all(names.map((name) => describe(join(cache, name))));
  let total = 0;
  for (const { folder, record, used } of entries.sort((a, b) => b.used - a.used)) {
    const given = record === undefined && Date.now() - used > UNFINISHED_MS;
    total += record ? record.graph.bytes + record.data.bytes : 0;
    const stale = record !== undefined && (record.key.onnxruntime !== onnxruntime || total > limit);
    if (given || stale) await rm(folder, { recursive: true, force: true });
  }
}

async function describe(folder: string) {
  const record = await readRecord(folder);
  const found = await stat(record ? join(folder, RECORD_FILE) : folder).catch(() => undefined);
  return { folder, record, used: found?.mtimeMs ?? 0 };
}

async function readRecord(folder: string): Promise<EntryRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, RECORD_FILE), 'utf8')) as EntryRecord;
  } catch {
    return undefined;
  }
}

async function flush(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
