/** The threads that quantize. */

/** Ends the threads; whoever quantizes calls it when all is written, or when it fails. */
export async function releasePool(): Promise<void> {}
