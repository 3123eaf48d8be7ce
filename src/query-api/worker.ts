import { setPriority } from "node:os"
import { StaleBlockError } from "../columns/batch.ts"
import { nextWork, Sealer } from "../columns/sealer.ts"
import { SnapshotReader } from "../columns/snapshot-reader.ts"
import { UnsealedIdsTooLargeError } from "../columns/unsealed.ts"
import { RequestError } from "../errors.ts"
import { executeQuery } from "../query/engine/execute.ts"
import type { QueryFailure, WorkerMessage, WorkerRequest } from "../query/engine/messages.ts"
import { type Job, TaskScheduler } from "../query/engine/scheduler.ts"
import { OutOfMemoryBudgetError } from "../query/structures/memory-budget.ts"
import { openForReading } from "../store/db/open.ts"
import type { QuerySpec } from "./query-spec.ts"
import { render } from "./render.ts"

declare const self: Worker

/** Leaves queries a tenth of the CPU time of a busy server: ingestion has priority. */
const niceness = 10
/** ms: longer than most queries take; a query that takes longer restarts. */
const patience = 30_000
/** KiB of SQLite's page cache. Small, because columns have their own cache and the system caches the file. */
const pageCacheKiB = 16_384
/**
 * Share of the query memory after which garbage is collected explicitly: the JavaScript engine underestimates the size of columns and
 * waits until the heap has doubled.
 */
const sweepShare = 1 / 4
/** The same if the process uses more than the query memory plus `baseBytes`, which it needs without queries. */
const pressedShare = 1 / 32
const baseBytes = 100_663_296
/** Shares of the query memory for one query, and for all queries and unsent responses. The rest is for caches. */
const queryShare = 1 / 2
const queriesShare = 5 / 8
/** Minimum unsealed rows to seal; higher during fast ingestion, because every seal costs a commit. */
const minRowsToSeal = 8_192
const minRowsWhenBusy = 65_536
/** New rows per second that count as fast ingestion. */
const busyGrowth = 4_096

interface WorkerState {
  reader: SnapshotReader
  sealer: Sealer
  scheduler: TaskScheduler
  unsealed: number
  sweeper: Sweeper
  close: () => void
}

/** Collects garbage explicitly: otherwise the process holds twice the memory that it uses. */
class Sweeper {
  #read = 0
  #reserved = 0
  #builtBytes = 0

  constructor(
    private readonly reader: SnapshotReader,
    private readonly sealer: Sealer,
    private readonly scheduler: TaskScheduler,
    private readonly memory: number,
  ) {}

  /** Called after each step. Collects once enough was read, reserved or sealed; takes about 20 ms, or a few ms per 10 MB. */
  sweep(): void {
    this.reader.trim()
    const { totalReserved: total } = this.scheduler.memory
    const { builtBytes } = this.sealer
    const garbage = this.reader.read - this.#read + total - this.#reserved + builtBytes - this.#builtBytes
    const { memory } = this
    if (garbage < memory * pressedShare) return
    if (garbage < memory * sweepShare && process.memoryUsage.rss() < memory + baseBytes) return
    this.#read = this.reader.read
    this.#reserved = total
    this.#builtBytes = builtBytes
    Bun.gc(true)
  }
}

let open: WorkerState | undefined
let isRunning = false

/** Runs scheduled steps until none are left. Handles messages between steps. */
async function run({ scheduler, sweeper }: WorkerState): Promise<void> {
  if (isRunning) return
  isRunning = true
  while (scheduler.runNext()) {
    sweeper.sweep()
    await new Promise((resolve) => setImmediate(resolve))
  }
  isRunning = false
}

function post(message: WorkerMessage, transfer: ArrayBuffer[] = []): void {
  self.postMessage(message, transfer)
}

function fail(id: number): Job["fail"] {
  return (error) => post({ type: "failure", id, ...failureOf(error) })
}

function failureOf(error: unknown): QueryFailure {
  // The code of this thread, SQLite and the JavaScript engine throw only errors.
  const { message, stack } = error as Error
  if (error instanceof RequestError) return { kind: "rejected", message }
  const isTooLarge = error instanceof OutOfMemoryBudgetError || error instanceof UnsealedIdsTooLargeError
  return isTooLarge ? { kind: "outOfMemory", message } : { kind: "internal", message, stack }
}

function jobOf(
  { reader, scheduler }: WorkerState,
  request: Extract<WorkerRequest<QuerySpec>, { type: "execute" | "render" }>,
): Job {
  const { id, caller } = request
  if (request.type === "execute") {
    return {
      id,
      caller,
      *start(budget) {
        post({ type: "result", id, outcome: yield* executeQuery(reader, request.query, budget) })
      },
      fail: fail(id),
    }
  }
  return {
    id,
    caller,
    *start(budget) {
      const rendered = yield* render(reader, request.spec, request.limits, budget)
      budget.release()
      // Reserved until the main thread has sent the bytes.
      scheduler.memory.reserve(rendered.bytes)
      post(
        { type: "rendered", id, rendered },
        rendered.chunks.map(({ buffer }) => buffer),
      )
    },
    fail: fail(id),
  }
}

function* seal(
  sealer: Sealer,
  { includeFew, today, collect }: Extract<WorkerRequest<QuerySpec>, { type: "seal" }>,
  /** New rows since the previous request. */
  growth: number,
  /** Few rows that take much memory: queries are slow until they are sealed. */
  isHeavy: boolean,
): Generator<void, void> {
  const minRows = includeFew || isHeavy ? 1 : growth > busyGrowth ? minRowsWhenBusy : minRowsToSeal
  try {
    post({ type: "sealed", batch: yield* nextWork(sealer, { minimum: minRows, today, collect }) })
  } catch (error) {
    const failure = error instanceof StaleBlockError ? {} : { failure: failureOf(error).message }
    post({ type: "sealed", batch: undefined, ...failure })
  }
}

function openAt({ path, memory }: Extract<WorkerRequest<QuerySpec>, { type: "open" }>): WorkerState {
  try {
    // On Linux, this affects only the current thread.
    setPriority(0, niceness)
  } catch {
    // Not permitted: run with normal priority.
  }
  const db = openForReading(path)
  db.pragma(`cache_size = -${pageCacheKiB}`)
  const reader = new SnapshotReader(db, memory)
  const now = () => performance.now()
  const scheduler = new TaskScheduler({
    memory: memory * queriesShare,
    memoryPerQuery: memory * queryShare,
    now,
  })
  reader.lend(scheduler.memory)
  const sealer = new Sealer(db, now, patience, reader.identities)
  return {
    reader,
    sealer,
    scheduler,
    unsealed: 0,
    sweeper: new Sweeper(reader, sealer, scheduler, memory),
    close: () => db.close(),
  }
}

// SQLite calls, large queries and the JSON of their results block a thread. This worker keeps the main thread free for ingestion.
self.onmessage = ({ data }: MessageEvent<WorkerRequest<QuerySpec>>) => {
  if (data.type === "open") {
    open = openAt(data)
    post({ type: "opened" })
    return
  }
  if (!open) return
  const { scheduler, sealer } = open
  switch (data.type) {
    case "execute":
    case "render":
      scheduler.add(jobOf(open, data))
      break
    case "cancel":
      scheduler.cancel(data.id)
      break
    case "release":
      scheduler.memory.reserve(-data.bytes)
      break
    case "seal": {
      const before = open.unsealed
      open.unsealed = sealer.unsealed()
      const isHeavy = open.reader.hasHeavyRows
      scheduler.startSealing(seal(sealer, data, open.unsealed - before, isHeavy), isHeavy)
      break
    }
    case "close":
      open.close()
      post({ type: "closed" })
      return
  }
  void run(open)
}
