/** Large buffers that are used again: fresh ones cost page faults, and garbage collection lets them pile up. */

/** Buffers kept at most; nested transformations need two or three at a time. */
const MAX_IDLE = 4;

/** Buffers of one kind that nobody uses now. */
interface Shelf<B extends ArrayBufferLike> {
  readonly make: (bytes: number) => B;
  readonly idle: B[];
}

const own: Shelf<ArrayBuffer> = { make: (bytes) => new ArrayBuffer(bytes), idle: [] };
const shared: Shelf<SharedArrayBuffer> = { make: (bytes) => new SharedArrayBuffer(bytes), idle: [] };

/**
 * Lends `bytes` bytes of unspecified content until {@link giveBack}; whoever forgets only loses the reuse.
 */
export function borrow(bytes: number): Uint8Array<ArrayBuffer> {
  return take(own, bytes);
}

/** The same in memory that other threads can see. */
export function borrowShared(bytes: number): Uint8Array<SharedArrayBuffer> {
  return take(shared, bytes);
}

/** Ends a loan. The array must not be used any more, by any thread. */
export function giveBack({ buffer }: Uint8Array): void {
  if (buffer instanceof SharedArrayBuffer) put(shared, buffer);
  else put(own, buffer);
}

/** Lets go of all buffers that nobody uses now. */
export function releaseScratch(): void {
  own.idle.length = 0;
  shared.idle.length = 0;
}

function take<B extends ArrayBufferLike>({ idle, make }: Shelf<B>, bytes: number): Uint8Array<B> {
  const fit = idle.findIndex((buffer) => buffer.byteLength >= bytes);
  const buffer = fit >= 0 ? idle.splice(fit, 1)[0]! : make(bytes);
  return new Uint8Array(buffer, 0, bytes);
}

function put<B extends ArrayBufferLike>({ idle }: Shelf<B>, buffer: B): void {
  idle.push(buffer);
  idle.sort((a, b) => a.byteLength - b.byteLength);
  if (idle.length > MAX_IDLE) idle.shift();
}
