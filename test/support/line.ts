import { connect, type Socket } from "node:net"
import { eventually } from "../harness.ts"

/** A connection to the server, with everything that came over it so far. */
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

  /** Says that no more will come, and still listens. */
  end(): void {
    this.#socket.end()
  }

  /** The status of each answer so far. */
  get statuses(): number[] {
    return [...this.received.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))
  }

  /** Settles with all statuses when there are `count`, or when the server has closed. */
  async answers(count = 1, timeout = 5_000): Promise<number[]> {
    await eventually(() => this.statuses.length >= count || this.closed, { timeout })
    return this.statuses
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}
