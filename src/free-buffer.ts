/**
 * Minimum size of a buffer to free, in bytes. Smaller buffers are left to the garbage collector, because they may be
 * part of a shared pool.
 */
const minBytes = 65_536

/**
 * Frees the memory of a buffer that is no longer used, and leaves the buffer empty. The garbage collector would wait
 * until a thread's garbage is as large as its live objects, which include responses that are waiting for their clients.
 */
export function freeBuffer(bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): void {
  if (bytes.byteLength < minBytes) return
  const buffer = bytes instanceof ArrayBuffer ? bytes : bytes.buffer
  buffer.transfer(0)
}
