import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Database, type Db } from "../src/store/db/driver.ts"
import { closeDatabase, openDatabase } from "../src/store/db/open.ts"
import { environment } from "./support/environment.ts"

/** A running server of the built binary. */
export interface Server {
  url: string
  port: number
  pid: number
  /** Path of the database. */
  db: string
  /** The first key, from the start message; '' if the server created none. */
  key: string
  /** Output so far, both streams. Log lines of a request can arrive after its response. */
  output(): string
  /** Waits for a text in the output. Throws with the output if it does not appear. */
  prints(expected: string | RegExp): Promise<void>
  /** Resolves when the process has exited, with its exit code or the name of the signal that ended it. */
  exited: Promise<number | string>
  /** Sends SIGTERM. Returns the result of `exited`. */
  stop(): Promise<number | string>
  /** Sends SIGKILL. */
  kill(): Promise<void>
}

export interface ServerOptions {
  db: string
  args?: readonly string[]
  env?: Record<string, string>
  /** Limit of file descriptors; inherited by default. */
  descriptors?: number
  /** Command that starts the server with other permissions, such as setpriv. */
  prefix?: readonly string[]
}

/** Starts `databuddy serve` on a free port. Resolves once it has started. */
export async function startServer({
  db,
  args = [],
  env = {},
  descriptors,
  prefix = [],
}: ServerOptions): Promise<Server> {
  // Loaded on demand because it requires a build, which tests without a server do not need.
  const { binary } = await import("./support/binary.ts")
  const limited = descriptors ? ["sh", "-c", `ulimit -n ${descriptors}; exec "$0" "$@"`] : []
  const child = Bun.spawn([...limited, ...prefix, binary, "serve", "--db", db, "--port", "0", ...args], {
    env: environment(env),
    stdio: ["ignore", "pipe", "pipe"],
  })
  let output = ""
  const listening = Promise.withResolvers<string>()
  const read = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder()
    for await (const chunk of stream) {
      output += decoder.decode(chunk, { stream: true })
      const url = /listens? on (https?:\S+)/.exec(output)?.[1]
      // The server prints its address before the first website and key are committed.
      if (url && output.includes('"message":"started"')) listening.resolve(url)
    }
  }
  // The process can exit before the last output is read.
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

/** Returns the output of a `databuddy serve` that fails to start. Throws if it starts. */
export async function startFailure(options: ServerOptions): Promise<string> {
  // expect().rejects is avoided because Bun waits for it in a nested event loop, where a process's streams can stall.
  const result = await startServer(options).catch((error: Error) => error)
  if (result instanceof Error) return result.message
  await result.stop()
  throw new Error("the server started")
}

export interface TemporaryFolder extends Disposable {
  path: string
  /** The path of a file in the folder. */
  file: (name: string) => string
}

/** A temporary folder that is removed at the end of its block. */
export function temporaryFolder(): TemporaryFolder {
  // preload.ts removes the folder of temporary files after each test file, and creates it once the next one is loaded.
  mkdirSync(tmpdir(), { recursive: true })
  const path = mkdtempSync(join(tmpdir(), "databuddy-test-"))
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  }
}

const started = Date.now()
/** Contents of new database files, by creation time in Unix ms. */
const newDatabases = new Map<number, Buffer>()

/** Creates a database by copying a new one, because the migrations would take longer than most tests. */
export function createDatabase(path: string, now = started): void {
  let bytes = newDatabases.get(now)
  if (!bytes) {
    using folder = temporaryFolder()
    const original = folder.file("new.db")
    closeDatabase(openDatabase({ path: original, durability: "os", busyTimeout: 0, now }))
    bytes = readFileSync(original)
    newDatabases.set(now, bytes)
  }
  writeFileSync(path, bytes, { mode: 0o600 })
}

/** Opens a database, and creates it if there is none. */
export function openTestDatabase(path: string, busyTimeout = 0): Db {
  if (!existsSync(path)) createDatabase(path)
  return openDatabase({ path, durability: "os", busyTimeout, now: Date.now() })
}

/** Changes a database directly, before or while a server uses it, for example to create keys or to corrupt a row. */
export function withDatabase<Result>(path: string, work: (db: Db) => Result): Result {
  const db = openTestDatabase(path, 5_000)
  try {
    return db.transaction(work).immediate(db)
  } finally {
    closeDatabase(db)
  }
}

/** A read-only connection, like that of the `sqlite3` shell. */
export function openReader(path: string): Db {
  return new Database(path, { readonly: true })
}

/** In ms. Only failures take this long, and a machine that also runs other tests can be several times slower. */
const patience = 30_000

/** Waits until `ready` returns a truthy value, and returns it. Throws after `timeout` ms. */
export async function eventually<Result>(
  ready: () => Result | Promise<Result>,
  { timeout = patience, pause = 20 } = {},
): Promise<Result> {
  const end = performance.now() + timeout
  for (;;) {
    const result = await ready()
    if (result) return result
    if (performance.now() > end) throw new Error(`not within ${timeout} ms`)
    await Bun.sleep(pause)
  }
}

/**
 * Repeats `assert` until it does not throw. Throws its last error after `timeout` ms. Pages, for example, render some
 * time after a click.
 */
export async function eventuallyPasses(
  assert: () => void | Promise<void>,
  { timeout = patience, pause = 50 } = {},
): Promise<void> {
  const end = performance.now() + timeout
  for (;;) {
    try {
      return await assert()
    } catch (error) {
      if (performance.now() > end) throw error
      await Bun.sleep(pause)
    }
  }
}
