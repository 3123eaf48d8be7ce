import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Database, type Db } from "../src/store/db/driver.ts"
import { closeDatabase, openDatabase } from "../src/store/db/open.ts"
import { environment } from "./support/environment.ts"

/** The built binary, serving. */
export interface Server {
  url: string
  port: number
  pid: number
  /** Path of the database. */
  db: string
  /** The first key, from the welcome; '' where the server made none. */
  key: string
  /** All that it has printed so far, both streams. What belongs to an answer can come later than the answer. */
  output(): string
  /** Waits until it has printed this. Throws with the output if it does not. */
  prints(expected: string | RegExp): Promise<void>
  /** Settles when the process is gone: its exit code, or the name of the signal that ended it. */
  exited: Promise<number | string>
  /** SIGTERM. Gives what `exited` does. */
  stop(): Promise<number | string>
  /** SIGKILL. */
  kill(): Promise<void>
}

export interface ServerOptions {
  db: string
  args?: readonly string[]
  env?: Record<string, string>
  /** File descriptors that it may have; otherwise as many as we. */
  descriptors?: number
}

/** Starts `databuddy serve` on a free port, and settles when it listens. */
export async function startServer({ db, args = [], env = {}, descriptors }: ServerOptions): Promise<Server> {
  // Loading it demands a build, which tests that start no server do without.
  const { binary } = await import("./support/binary.ts")
  const limited = descriptors ? ["sh", "-c", `ulimit -n ${descriptors}; exec "$0" "$@"`] : []
  const child = Bun.spawn([...limited, binary, "serve", "--db", db, "--port", "0", ...args], {
    env: environment(env),
    stdio: ["ignore", "pipe", "pipe"],
  })
  let output = ""
  const listening = Promise.withResolvers<string>()
  const read = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder()
    for await (const chunk of stream) {
      output += decoder.decode(chunk, { stream: true })
      const url = /listens on (https?:\S+)/.exec(output)?.[1]
      if (url) listening.resolve(url)
    }
  }
  // The exit can be known before the last of the output.
  const exited = Promise.all([child.exited, read(child.stdout), read(child.stderr)]).then(
    ([code]) => child.signalCode ?? code,
  )
  void exited.then((code) =>
    listening.reject(new Error(`serve ended with ${code} before it listened: ${output}`)),
  )
  const url = await listening.promise
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal)
    return exited
  }
  return {
    url,
    port: Number(new URL(url).port),
    pid: child.pid,
    db,
    key: /dbdy_[\w-]+/.exec(output)?.[0] ?? "",
    output: () => output,
    prints: async (expected) => {
      const isThere = () => (typeof expected === "string" ? output.includes(expected) : expected.test(output))
      await eventually(isThere).catch(() => {
        throw new Error(`${expected} is not in the output: ${output}`)
      })
    },
    exited,
    stop: () => end("SIGTERM"),
    kill: async () => void (await end("SIGKILL")),
  }
}

/** Why `databuddy serve` does not start: its output. Throws if it does start. */
export async function startFailure(options: ServerOptions): Promise<string> {
  // Not expect().rejects: Bun waits for it in a nested event loop, where streams of a process can stall.
  const result = await startServer(options).catch((error: Error) => error)
  if (result instanceof Error) return result.message
  await result.stop()
  throw new Error("it started")
}

export interface TemporaryFolder extends Disposable {
  path: string
  /** The path of a file in it. */
  file: (name: string) => string
}

/** A folder that is gone when its block ends. */
export function temporaryFolder(): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), "databuddy-test-"))
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  }
}

/** Does something to a database beside a server or before one: makes websites and keys, or breaks a row. */
export function withDatabase<Result>(path: string, work: (db: Db) => Result): Result {
  const db = openDatabase({ path, durability: "os", busyTimeout: 5_000, now: Date.now() })
  try {
    return db.transaction(work).immediate(db)
  } finally {
    closeDatabase(db)
  }
}

/** A connection that only reads, as a person's `sqlite3` would. */
export function openReader(path: string): Db {
  return new Database(path, { readonly: true })
}

/** Waits until `ready` gives something true, and gives that. Throws after `timeout` ms. */
export async function eventually<Result>(
  ready: () => Result | Promise<Result>,
  { timeout = 5_000, pause = 20 } = {},
): Promise<Result> {
  const end = performance.now() + timeout
  for (;;) {
    const result = await ready()
    if (result) return result
    if (performance.now() > end) throw new Error(`not within ${timeout} ms`)
    await Bun.sleep(pause)
  }
}
