/** Zstandard decompression that streams: a published embedding is one frame of 1.31 GB, which must never be whole in memory. */

import type { ZSTDDecoder } from 'zstddec/stream';
import { Damage } from './damage.js';

/**
 * Decoder calls in a row that may give nothing. Each call takes up to one input piece of 256 KiB, which always holds a
 * whole block, so two is the most that a sound frame needs. `zstddec` ignores the error code of libzstd and would call
 * it for ever with the same bytes: corrupt input shows itself as calls that never give anything again.
 */
const MAX_EMPTY_CALLS = 8;

/** Decoder calls spent on running an abandoned decoder to its end, which is the only way to make it free its memory. */
const MAX_DRAIN_CALLS = 64;

let loading: Promise<ZSTDDecoder> | undefined;

async function loadDecoder(): Promise<ZSTDDecoder> {
  const { ZSTDDecoder } = await import('zstddec/stream');
  const decoder = new ZSTDDecoder();
  await decoder.init();
  return decoder;
}

/**
 * Decompresses zstd frames piece by piece. Corrupt or truncated input throws {@link Damage}, but as frames mostly carry no
 * checksum, the caller must check the number of bytes too.
 */
export async function* decompressZstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  loading ??= loadDecoder();
  const decoder = await loading;
  const compressed = source[Symbol.asyncIterator]();
  let next: Uint8Array | undefined;
  function* input(): Generator<Uint8Array> {
    while (next !== undefined) {
      const piece = next;
      next = undefined;
      yield piece;
    }
  }
  const frames = decoder.decodeStreaming(input());
  let inputEnded = false;
  let finished = false;
  let emptyCalls = 0;
  try {
    for (;;) {
      // The decoder is synchronous and takes at most one piece a call, so one piece is always held ready for it.
      while (next === undefined && !inputEnded) {
        const { value, done } = await compressed.next();
        if (done) inputEnded = true;
        else if (value.length > 0) next = value;
      }
      const step = advance(frames);
      if (step.done) break;
      emptyCalls = step.value.length === 0 ? emptyCalls + 1 : 0;
      if (emptyCalls > MAX_EMPTY_CALLS) throw new Damage('its zstd data are corrupt');
      if (step.value.length > 0) yield step.value;
    }
    finished = true;
  } finally {
    next = undefined;
    if (!finished) drain(frames);
    await compressed.return?.();
  }
}

/** One call of the decoder; its only own error is that of a frame without an end. */
function advance(frames: Iterator<Uint8Array>): IteratorResult<Uint8Array> {
  try {
    return frames.next();
  } catch {
    throw new Damage('its zstd data end too early', { truncated: true });
  }
}

function drain(frames: Iterator<Uint8Array>): void {
  try {
    for (let call = 0; call < MAX_DRAIN_CALLS; call++) if (frames.next().done) return;
  } catch {
    // An unfinished frame, which is no news about data that nobody wants any more.
  }
}
