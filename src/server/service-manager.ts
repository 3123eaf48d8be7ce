import { dlopen, FFIType } from "bun:ffi"
import { cLibraries } from "../store/db/file-lock.ts"

// Implements the protocol of sd_notify(3): datagrams to the Unix socket in NOTIFY_SOCKET. Bun cannot open sockets of
// this kind, so this module calls libc functions.

/** Linux constants, which are the same on all architectures that databuddy supports. */
const [unixFamily, datagramSocket, closeOnExec] = [1, 2, 0o2000000]
/**
 * MSG_DONTWAIT and MSG_NOSIGNAL for sendto: a full queue must not block the server, and a closed socket must not kill
 * it.
 */
const doNotWait = 0x40 | 0x4000

/** In µs. Migrating a large database can take hours. */
const upgradeTimeout = 86_400_000_000

const functions = {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  sendto: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i64,
  },
} as const

type Send = (state: string) => void

/**
 * Tells systemd about the state of the service. Does nothing if NOTIFY_SOCKET is not set. A lost message is not an
 * error, because the service manager has its own timeouts.
 */
export class ServiceManager {
  readonly #send: Send
  /** Time between keep-alives in ms. Undefined if there is no watchdog. */
  readonly #interval: number | undefined

  /** `env` is the environment of the process. `pid` is the process that the watchdog variables must name. */
  constructor(env: NodeJS.ProcessEnv, pid: number) {
    this.#send = openSocket(env.NOTIFY_SOCKET)
    const timeout = Number(env.WATCHDOG_USEC)
    const isForUs = env.WATCHDOG_PID === undefined || env.WATCHDOG_PID === String(pid)
    this.#interval = timeout > 0 && isForUs ? timeout / 2_000 : undefined
  }

  /**
   * Reports that the database is being migrated before the server starts, and extends the start timeout, because a
   * migration can take longer.
   */
  upgrading(): void {
    this.#send(`EXTEND_TIMEOUT_USEC=${upgradeTimeout}\nSTATUS=upgrading the database`)
  }

  ready(): void {
    this.#send("READY=1\nSTATUS=accepting requests")
  }

  /**
   * Reports that the server has started, although it has no certificate yet. Without this report, systemd would stop
   * the process after the start timeout, and every restart would request a certificate again.
   */
  readyWithoutCertificate(): void {
    this.#send("READY=1\nSTATUS=HTTPS not started: waiting for the first certificate (see the log)")
  }

  /** Must be followed by a call to `ready`. */
  reloading(): void {
    this.#send("RELOADING=1\nSTATUS=reloading certificates and log level")
  }

  stopping(): void {
    this.#send("STOPPING=1\nSTATUS=finishing accepted requests")
  }

  /**
   * Sends keep-alives from the event loop at half the watchdog timeout, so that systemd restarts the service if the
   * loop hangs. Returns a function that stops the keep-alives.
   */
  watch(): () => void {
    if (this.#interval === undefined) return () => {}
    const timer = setInterval(() => this.#send("WATCHDOG=1"), this.#interval)
    return () => clearInterval(timer)
  }
}

/**
 * Returns a function that sends messages to the socket `name`, which is a path or starts with '@'. The function does
 * nothing if the socket cannot be opened or is of another kind, such as the vsock of a virtual machine.
 */
function openSocket(name: string | undefined): Send {
  const nothing = () => {}
  if (process.platform !== "linux" || name === undefined || !/^[/@]/.test(name)) return nothing
  for (const file of cLibraries) {
    try {
      const library = dlopen(file, functions)
      const descriptor = library.symbols.socket(unixFamily, datagramSocket | closeOnExec, 0)
      if (descriptor < 0) return nothing
      const address = socketAddress(name)
      return (state) => {
        const message = Buffer.from(state)
        library.symbols.sendto(descriptor, message, message.length, doNotWait, address, address.length)
      }
    } catch {
      // Try the other C library.
    }
  }
  return nothing
}

/**
 * Returns a `struct sockaddr_un` that is exactly as long as the name requires. A leading '@' stands for the zero byte
 * with which the name of an abstract socket starts.
 */
function socketAddress(name: string): Buffer {
  const path = Buffer.from(name.replace(/^@/, "\0"))
  const address = Buffer.alloc(2 + path.length)
  address.writeUInt16LE(unixFamily)
  path.copy(address, 2)
  return address
}
