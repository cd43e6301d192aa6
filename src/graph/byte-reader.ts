/** Takes the bytes of a tensor in runs of any length, however they come. */

import { RecgemmaError } from '../errors.js';

/** A stream of pieces that is read byte by byte. Always end with {@link ByteReader.close}. */
export class ByteReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** Fills `target` with the next bytes. */
  async fill(target: Uint8Array): Promise<void> {
    await this.scatter(target, { offset: 0, runBytes: target.byteLength, strideBytes: 0, runs: 1 });
  }

  /** Copies `runs` runs of `runBytes` each from the stream to `target`, `strideBytes` apart, from `offset` on. */
  async scatter(
    target: Uint8Array,
    layout: { offset: number; runBytes: number; strideBytes: number; runs: number },
  ): Promise<void> {
    for (let run = 0; run < layout.runs; run++) {
      let to = layout.offset + run * layout.strideBytes;
      const end = to + layout.runBytes;
      while (to < end) {
        if (this.#at === this.#piece.byteLength) await this.#advance();
        const count = Math.min(end - to, this.#piece.byteLength - this.#at);
        target.set(this.#piece.subarray(this.#at, this.#at + count), to);
        this.#at += count;
        to += count;
      }
    }
  }

  /** Reads on to the end, where readers make their last checks; throws where bytes are left. */
  async expectEnd(): Promise<void> {
    const { done } = await this.#pieces.next();
    if (!done || this.#at < this.#piece.byteLength) {
      throw new RecgemmaError('failed', 'a tensor has more bytes than its shape');
    }
  }

  /** Lets the stream give back what it holds; harmless at its end. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }
  async #advance(): Promise<void> {
    const { value, done } = await this.#pieces.next();
    if (done) throw new RecgemmaError('failed', 'a tensor ended before its shape was filled');
    this.#piece = value;
    this.#at = 0;
  }
}
