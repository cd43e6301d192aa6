/** Makes a zstd frame of many zeros by hand: Node 20 has no compressor, and this one turns 4 bytes into 128 KiB. */

/** A frame without a content size whose RLE blocks (RFC 8878, section 3.1.1.2) decode to `size` zeros. */
export function zstdZeros(size: number): Uint8Array {
  const blockBytes = 128 * 1024;
  const bytes = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x48]; // magic; no flags; a window of 512 KiB
  for (let left = size; left > 0; left -= blockBytes) {
    const last = left <= blockBytes ? 1 : 0;
    const header = (Math.min(left, blockBytes) << 3) | (1 << 1) | last;
    bytes.push(header & 0xff, (header >> 8) & 0xff, header >> 16, 0);
  }
  return Uint8Array.from(bytes);
}
