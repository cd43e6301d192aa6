/** Large buffers that are used again: fresh ones cost page faults, and garbage collection lets them pile up. */

/** Buffers that nobody uses now. */
const idle: ArrayBuffer[] = [];

/** Buffers kept at most; nested transformations need two or three at a time. */
const MAX_IDLE = 4;

/**
 * Lends `bytes` bytes of unspecified content until {@link giveBack}; whoever forgets only loses the reuse.
 */
export function borrow(bytes: number): Uint8Array<ArrayBuffer> {
  const fit = idle.findIndex((buffer) => buffer.byteLength >= bytes);
  const buffer = fit >= 0 ? idle.splice(fit, 1)[0]! : new ArrayBuffer(bytes);
  return new Uint8Array(buffer, 0, bytes);
}

/** Ends a loan. The array must not be used any more. */
export function giveBack(array: Uint8Array<ArrayBuffer>): void {
  idle.push(array.buffer);
  idle.sort((a, b) => a.byteLength - b.byteLength);
  if (idle.length > MAX_IDLE) idle.shift();
}

/** Lets go of all buffers that nobody uses now. */
export function releaseScratch(): void {
  idle.length = 0;
}
