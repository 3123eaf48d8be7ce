/** Minimum bytes of a buffer that `freeBuffer` frees. A smaller one can be part of a pool, and is soon collected. */
const minBytes = 65_536

/**
 * Frees the memory of a buffer that is no longer used. The buffer is empty afterwards. The garbage collector would wait
 * until a thread's garbage is as large as its live objects, which include responses that wait for their clients.
 */
export function freeBuffer(bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): void {
  if (bytes.byteLength < minBytes) return
  const buffer = bytes instanceof ArrayBuffer ? bytes : bytes.buffer
  buffer.transfer(0)
}
