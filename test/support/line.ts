import { connect, type Socket } from "node:net"
import { eventually } from "../harness.ts"

/** A raw connection to the server, with everything received so far. */
export class Line implements Disposable {
  readonly #socket: Socket
  received = ""
  closed = false

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true })
    this.#socket.setEncoding("latin1")
    this.#socket.on("data", (text) => {
      this.received += text
    })
    for (const event of ["end", "close", "error"]) {
      this.#socket.on(event, () => {
        this.closed = true
      })
    }
  }

  send(bytes: string | Buffer): void {
    this.#socket.write(bytes)
  }

  /** Closes the sending side; receiving continues. */
  end(): void {
    this.#socket.end()
  }

  /** The status of each response so far. */
  get statuses(): number[] {
    return [...this.received.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))
  }

  /** Settles with all statuses once there are `count`, or the server has closed the connection. */
  async answers(count = 1, timeout = 5_000): Promise<number[]> {
    await eventually(() => this.statuses.length >= count || this.closed, { timeout })
    return this.statuses
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}
