import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { RequestError } from "../../src/errors.ts"
import { CallerQueue, type Client, type QueueLimits } from "../../src/query/engine/caller-queue.ts"

const limits: QueueLimits = {
  running: 4,
  runningPerCaller: 2,
  runningShared: 1,
  waiting: 8,
  waitingPerCaller: 5,
  waitingBytes: 100,
  maxWait: 60_000,
}

/** Cancels requests that a test leaves in a queue. Otherwise, they would be rejected during another file. */
let clients: AbortController
beforeEach(() => {
  clients = new AbortController()
})
afterEach(() => clients.abort())

/** Requests that end on demand. */
class Requests {
  readonly queue: CallerQueue
  /** Names of the requests in the order in which they started. */
  readonly began: string[] = []
  readonly #ends: (() => void)[] = []

  constructor(changes: Partial<QueueLimits> = {}) {
    this.queue = new CallerQueue({ ...limits, ...changes })
  }

  send(name: string, more: Partial<Client> & { bytes?: number; signal?: AbortSignal } = {}): Promise<void> {
    const { bytes = 1, signal = clients.signal, isShared = false } = more
    const request = this.queue.run({ name, isShared }, bytes, signal, () => {
      this.began.push(name)
      return new Promise<void>((resolve) => this.#ends.push(resolve))
    })
    // Many tests do not wait for the request.
    request.catch(() => {})
    return request
  }

  /** Ends the running request that started first. */
  async end(): Promise<void> {
    this.#ends.shift()?.()
    await Bun.sleep(0)
  }
}

async function reasonOf(refused: Promise<unknown>): Promise<string | undefined> {
  const error = await refused.catch((error) => error)
  return error instanceof RequestError ? `${error.reason} ${error.retryAfter}` : undefined
}

describe("a slot", () => {
  test("goes to each caller in turn", async () => {
    const requests = new Requests({ running: 2 })
    for (const name of ["a", "a", "a", "a", "a", "b", "b", "c"]) void requests.send(name)
    expect(requests.began).toEqual(["a", "a"])
    for (let ended = 0; ended < 6; ended++) await requests.end()
    expect(requests.began).toEqual(["a", "a", "a", "b", "c", "a", "b", "a"])
  })

  test("is left for other callers by a caller with many requests", async () => {
    const requests = new Requests()
    for (let count = 0; count < 7; count++) void requests.send("a")
    void requests.send("b")
    expect(requests.began).toEqual(["a", "a", "b"])
  })

  test("is left for keys and logins by share links, no matter how many addresses use them", async () => {
    const requests = new Requests()
    for (const name of ["s1", "s2", "s3"]) void requests.send(name, { isShared: true })
    void requests.send("a")
    expect(requests.began).toEqual(["s1", "a"])
    await requests.end()
    expect(requests.began).toEqual(["s1", "a", "s2"])
  })

  test("is released by work that fails", async () => {
    const requests = new Requests({ running: 1 })
    const failing = requests.queue.run({ name: "a", isShared: false }, 0, clients.signal, () =>
      Promise.reject(new Error("failed")),
    )
    await expect(failing).rejects.toThrow("failed")
    void requests.send("b")
    expect(requests.began).toEqual(["b"])
  })
})

describe("a request is rejected", () => {
  test("if its caller has too many waiting", async () => {
    const requests = new Requests()
    for (let count = 0; count < 7; count++) void requests.send("a")
    expect(await reasonOf(requests.send("a"))).toBe("rate_limited 2")
    void requests.send("b")
    expect(requests.began).toEqual(["a", "a", "b"])
  })

  test("if too many requests or bytes are waiting", async () => {
    const many = new Requests({ running: 0 })
    for (let count = 0; count < 8; count++) void many.send(`caller ${count}`)
    expect(await reasonOf(many.send("a"))).toBe("queries_full 2")
    const large = new Requests({ running: 0 })
    void large.send("a", { bytes: 60 })
    expect(await reasonOf(large.send("b", { bytes: 60 }))).toBe("queries_full 2")
  })

  test("after it has waited too long, and its place in the queue is released", async () => {
    const requests = new Requests({ running: 1, waiting: 1, maxWait: 5 })
    void requests.send("a")
    expect(await reasonOf(requests.send("b"))).toBe("queries_full 2")
    const late = requests.send("c")
    await requests.end()
    await requests.end()
    await late
    expect(requests.began).toEqual(["a", "c"])
  })
})

test("a request whose client has disconnected leaves the queue immediately", async () => {
  const requests = new Requests({ running: 1, waiting: 1 })
  void requests.send("a")
  const client = new AbortController()
  const waiting = requests.send("b", { signal: client.signal })
  expect(await reasonOf(requests.send("c"))).toBe("queries_full 2")
  client.abort(new Error("gone"))
  await expect(waiting).rejects.toThrow("gone")
  void requests.send("d")
  await requests.end()
  expect(requests.began).toEqual(["a", "d"])
})
