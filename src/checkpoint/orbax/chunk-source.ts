/** One chunk as a source of bytes that is read forwards, with gaps where the chunk is padded beyond the array's edge. */

import type { Chunk } from './chunked-array.js';
import { Damage } from './damage.js';

/** Bytes of a chunk, in rising order. */
export interface ChunkSource {
  /** Fills `target` with the bytes from `offset` on, which must not lie before the end of the last read. */
  read(offset: number, target: Uint8Array): Promise<void> | void;
  /** Says that no more is wanted, and checks that the chunk has as many bytes as it should. */
  finish(): Promise<void> | void;
  close(): Promise<void> | void;
}

/** A chunk that was never written: one element over and over. */
export class FillSource implements ChunkSource {
  readonly #element: Uint8Array;

  constructor(element: Uint8Array) {
    this.#element = element;
  }

  read(_offset: number, target: Uint8Array): void {
    const element = this.#element;
    if (element.every((byte) => byte === 0)) target.fill(0);
    else for (let at = 0; at < target.length; at += element.length) target.set(element, at);
  }

  finish(): void {}
  close(): void {}
}

/** A stored chunk, decoded as far as it is read. A wrong number of bytes throws {@link Damage}. */
export class StreamSource implements ChunkSource {
  readonly #label: string;
  readonly #pieces: AsyncIterator<Uint8Array>;
  readonly #size: number;
  #piece: Uint8Array = new Uint8Array(0);
  /** Bytes of the chunk before the current piece, and bytes used of the piece. */
  #before = 0;
  #used = 0;

  constructor(chunk: Chunk, size: number) {
    this.#label = chunk.label;
    this.#pieces = chunk.pieces[Symbol.asyncIterator]();
    this.#size = size;
  }

  /** Copies at once what is already decoded: awaiting every run of a column shard would take most of the time. */
  read(offset: number, target: Uint8Array): Promise<void> | void {
    const from = offset - this.#before;
    if (from + target.length > this.#piece.length) return this.#readOn(offset, target);
    target.set(this.#piece.subarray(from, from + target.length));
    this.#used = from + target.length;
  }

  async #readOn(offset: number, target: Uint8Array): Promise<void> {
    await this.#skipTo(offset);
    let done = 0;
    while (done < target.length) {
      if (this.#used === this.#piece.length && !(await this.#next())) this.#endsEarly();
      const part = this.#piece.subarray(this.#used, this.#used + target.length - done);
      target.set(part, done);
      done += part.length;
      this.#used += part.length;
    }
  }

  async finish(): Promise<void> {
    await this.#skipTo(this.#size);
    if (this.#used < this.#piece.length || (await this.#next())) {
      await this.close();
      throw new Damage(
        `its chunk ${this.#label} decodes to more than the ${this.#size} bytes it should have`,
      );
    }
  }

  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  async #skipTo(offset: number): Promise<void> {
    while (offset > this.#before + this.#piece.length) if (!(await this.#next())) this.#endsEarly();
    this.#used = offset - this.#before;
  }

  async #next(): Promise<boolean> {
    try {
      for (;;) {
        const { value, done } = await this.#pieces.next();
        if (done) return false;
        this.#before += this.#piece.length;
        this.#piece = value;
        this.#used = 0;
        if (value.length > 0) return true;
      }
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      throw new Damage(`chunk ${this.#label}: ${error.message}`, { truncated: error.truncated });
    }
  }

  #endsEarly(): never {
    throw new Damage(`its chunk ${this.#label} ends before the ${this.#size} bytes it should have`, {
      truncated: true,
    });
  }
}
