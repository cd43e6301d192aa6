/** Writes a large file front to back and hashes it on the way, in a thread of its own so that reading and writing overlap. */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { RecgemmaError } from '../errors.js';
import type { FromDataWriter, ToDataWriter } from './data-writer-worker.js';

/** Bytes that travel to the writing thread at once. */
const SLAB_BYTES = 8 << 20;

/** Slabs in flight: one being filled, one being written, one between. */
const SLAB_COUNT = 3;

/** What a finished file holds. */
export interface WrittenFile {
  readonly bytes: number;
  /** Of the whole file, in hexadecimal. */
  readonly sha256: string;
}

/** A file under construction. Always end with {@link DataWriter.finish} or {@link DataWriter.abort}. */
export class DataWriter {
  readonly #worker: Worker;
  readonly #free: ArrayBuffer[] = [];
  #wake: () => void = () => {};
  #failure: Error | undefined;
  #finished: WrittenFile | undefined;
  #slab: Uint8Array = new Uint8Array(SLAB_BYTES);
  #filled = 0;
  #position = 0;

  constructor(path: string) {
    for (let i = 1; i < SLAB_COUNT; i++) this.#free.push(new ArrayBuffer(SLAB_BYTES));
    this.#worker = new Worker(new URL('./data-writer-worker.js', import.meta.url), { workerData: path });
    this.#worker.on('message', (message: FromDataWriter) => {
      if ('slab' in message) this.#free.push(message.slab);
      else if ('failed' in message) this.#failure = new RecgemmaError('failed', message.failed);
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
      this.#slab.set(bytes.subarray(at, at + count), this.#filled);
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
    await this.#send();
    this.#post({ finish: true });
    while (!this.#finished) await this.#woken();
    await this.#stop();
    return this.#finished;
  }

  /** Gives up: stops the thread and leaves the file as it is. */
  async abort(): Promise<void> {
    await this.#worker.terminate();
  }

  async #send(): Promise<void> {
    const slab = this.#slab.buffer as ArrayBuffer;
    this.#post({ slab, bytes: this.#filled }, [slab]);
    this.#filled = 0;
    while (this.#free.length === 0) await this.#woken();
    this.#slab = new Uint8Array(this.#free.pop()!);
  }

  #post(message: ToDataWriter, transfer: ArrayBuffer[] = []): void {
    if (this.#failure) throw this.#failure;
    this.#worker.postMessage(message, transfer);
  }

  #woken(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#wake = () => (this.#failure ? reject(this.#failure) : resolve());
      if (this.#failure) this.#wake();
    });
  }

  async #stop(): Promise<void> {
    const exited = once(this.#worker, 'exit');
    this.#worker.unref();
    await Promise.race([exited, this.#worker.terminate()]);
  }
}
