/** Bytes from which on a buffer is freed by `freeBuffer`. A smaller one can be part of a pool, and is soon collected. */
const minBytes = 65_536

/**
 * Frees the memory of bytes that nothing uses any more, which are empty afterwards. The garbage collector of a thread would do it only
 * when its garbage amounts to its live objects, and those include the responses that wait for their clients.
 */
export function freeBuffer(bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): void {
  if (bytes.byteLength < minBytes) return
  const buffer = bytes instanceof ArrayBuffer ? bytes : bytes.buffer
  buffer.transfer(0)
}
