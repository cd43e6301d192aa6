/** Writes a large file front to back and hashes it on the way, in a thread of its own so that reading and writing overlap. */

import { Worker } from 'node:worker_threads';
import type { DataWriterSetup, FromDataWriter, ToDataWriter } from './data-writer-worker.js';

/** Bytes that go to the writing thread at once; a multiple of every disk's block. */
const SLAB_BYTES = 8 << 20;

/** Slabs in flight: one being filled, one being written, one between. */
const SLAB_COUNT = 3;

const WASM_PAGE_BYTES = 64 << 10;

/** What a finished file holds. */
export interface WrittenFile {
  readonly bytes: number;
  /** Of the whole file, in hexadecimal. */
  readonly sha256: string;
}

/** A file under construction. Always end with {@link DataWriter.finish} or {@link DataWriter.abort}. */
export class DataWriter {
  readonly #worker: Worker;
  readonly #slabs: readonly Uint8Array[];
  readonly #free: number[] = [];
  #wake: () => void = () => {};
  #failure: Error | undefined;
  #finished: WrittenFile | undefined;
  #slab = 0;
  #filled = 0;
  #position = 0;

  /** Starts a file, which must not exist yet. */
  constructor(path: string) {
    const memory = alignedMemory(SLAB_COUNT * SLAB_BYTES);
    this.#slabs = Array.from(
      { length: SLAB_COUNT },
      (_, i) => new Uint8Array(memory, i * SLAB_BYTES, SLAB_BYTES),
    );
    for (let i = 1; i < SLAB_COUNT; i++) this.#free.push(i);
    const setup: DataWriterSetup = { path, slabs: this.#slabs };
    this.#worker = new Worker(new URL('./data-writer-worker.js', import.meta.url), { workerData: setup });
    this.#worker.on('message', (message: FromDataWriter) => {
      if ('slab' in message) this.#free.push(message.slab);
      else if ('failed' in message) this.#failure = systemError(message.failed, message.code);
      else this.#finished = message;
      this.#wake();
    });
    this.#worker.on('error', (error) => {
      this.#failure = error;
      this.#wake();
    });
  }

  /** Bytes given so far. */
  get position(): number {
    return this.#position;
  }

  /** Adds bytes to the end of the file; the array may be reused when this returns. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength; ) {
      const count = Math.min(bytes.byteLength - at, SLAB_BYTES - this.#filled);
      this.#slabs[this.#slab]!.set(bytes.subarray(at, at + count), this.#filled);
      at += count;
      this.#filled += count;
      if (this.#filled === SLAB_BYTES) await this.#send();
    }
    this.#position += bytes.byteLength;
  }

  /** Fills with zeros up to the next multiple of `alignment` bytes. */
  async align(alignment: number): Promise<void> {
    await this.write(new Uint8Array((alignment - (this.#position % alignment)) % alignment));
  }

  /** Writes what is left, waits until it is on the disk, and returns the file's size and hash. */
  async finish(): Promise<WrittenFile> {
    this.#post({ slab: this.#slab, bytes: this.#filled, last: true });
    while (!this.#finished) await this.#woken();
    await this.#worker.terminate();
    return this.#finished;
  }

  /** Gives up: stops the thread and leaves the file as it is. */
  async abort(): Promise<void> {
    await this.#worker.terminate();
  }

  async #send(): Promise<void> {
    this.#post({ slab: this.#slab, bytes: this.#filled, last: false });
    this.#filled = 0;
    while (this.#free.length === 0) await this.#woken();
    this.#slab = this.#free.pop()!;
  }

  #post(message: ToDataWriter): void {
    if (this.#failure) throw this.#failure;
    this.#worker.postMessage(message);
  }

  #woken(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#wake = () => (this.#failure ? reject(this.#failure) : resolve());
      if (this.#failure) this.#wake();
    });
  }
}

/** An error as Node's own calls throw it, which whoever catches it tells by its code: the disk is full, say. */
function systemError(message: string, code: string | undefined): Error {
  return Object.assign(new Error(message), { code });
}

/**
 * Memory that both threads see and that starts at a page, as writing past the page cache needs. Only WebAssembly promises that;
 * an ArrayBuffer starts wherever malloc put it.
 */
function alignedMemory(bytes: number): SharedArrayBuffer {
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES);
  return new WebAssembly.Memory<SharedArrayBuffer>({ initial: pages, maximum: pages, shared: true }).buffer;
}
