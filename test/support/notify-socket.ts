import { dlopen, FFIType } from "bun:ffi"

// The receiving end of sd_notify(3), as systemd opens it. Bun has no Unix datagram sockets.

/** Maximum size of a message, in bytes. */
const messageSize = 4_096

/** Binds a Unix datagram socket. A `name` that starts with '@' is not in the file system. Throws if binding fails. */
export function openNotifySocket(name: string) {
  const { i32, u32, ptr, i64, u64 } = FFIType
  const { symbols, close } = dlopen("libc.so.6", {
    socket: { args: [i32, i32, i32], returns: i32 },
    bind: { args: [i32, ptr, u32], returns: i32 },
    recv: { args: [i32, ptr, u64, i32], returns: i64 },
    close: { args: [i32], returns: i32 },
  })
  const descriptor = symbols.socket(1, 2, 0)
  const path = Buffer.from(name.replace(/^@/, "\0"))
  const address = Buffer.concat([Buffer.from([1, 0]), path])
  if (symbols.bind(descriptor, address, address.length) !== 0) throw new Error(`cannot bind ${name}`)
  const messages: string[] = []
  const buffer = Buffer.alloc(messageSize)
  return {
    /** All messages so far. */
    messages: (): readonly string[] => {
      // MSG_DONTWAIT
      for (let size = 0; size >= 0; ) {
        size = Number(symbols.recv(descriptor, buffer, buffer.length, 0x40))
        if (size >= 0) messages.push(buffer.toString("utf8", 0, size))
      }
      return messages
    },
    [Symbol.dispose]: () => {
      symbols.close(descriptor)
      close()
    },
  }
}
