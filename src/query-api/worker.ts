import { setPriority } from "node:os"
import { StaleBlockError } from "../columns/batch.ts"
import { nextWork, Sealer } from "../columns/sealer.ts"
import { SnapshotReader } from "../columns/snapshot-reader.ts"
import { TailTooLarge } from "../columns/unsealed.ts"
import { RequestError } from "../errors.ts"
import { executeQuery } from "../query/engine/execute.ts"
import type { QueryFailure, WorkerMessage, WorkerRequest } from "../query/engine/messages.ts"
import { type Job, TaskScheduler } from "../query/engine/scheduler.ts"
import { OutOfMemoryBudgetError } from "../query/structures/memory-budget.ts"
import { openForReading } from "../store/db/open.ts"
import type { QuerySpec } from "./query-spec.ts"
import { render } from "./render.ts"

declare const self: Worker

/** A tenth of the time of a busy server: events that come in go before questions about them. */
const niceness = 10
/** ms: longer than most questions take; one that takes longer is begun again. */
const patience = 30_000
/** KiB of SQLite's own cache: columns are kept elsewhere, and the file is in the system's cache. */
const pageCacheKiB = 16_384
/** The share of the memory after which garbage is collected: the JavaScript engine knows little of what columns weigh, and waits until the heap has doubled. */
const sweepShare = 1 / 4
/** The same where the process takes more than the memory and this many bytes, which it takes without queries. */
const pressedShare = 1 / 32
const baseBytes = 100_663_296
/** The share of the memory that one query may take, and that all of them and their unsent answers may: the rest is for caches. */
const queryShare = 1 / 2
const queriesShare = 5 / 8
/** Unsealed rows from which they are sealed: many at once where they come fast, for each sealing costs a commit. */
const enoughToSeal = 8_192
const enoughWhenBusy = 65_536
/** Rows from one look to the next, a second, that are fast. */
const busyGrowth = 4_096

interface Open {
  reader: SnapshotReader
  sealer: Sealer
  scheduler: TaskScheduler
  unsealed: number
  sweeper: Sweeper
  close: () => void
}

/** Garbage is returned to the system late where nobody asks for it: twice as much memory would be held as is used. */
class Sweeper {
  #read = 0
  #taken = 0
  #made = 0

  constructor(
    private readonly reader: SnapshotReader,
    private readonly sealer: Sealer,
    private readonly scheduler: TaskScheduler,
    private readonly memory: number,
  ) {}

  /** After each turn; some 20 ms, or a few ms for each 10 MB that are held, once much was read, taken or sealed. */
  sweep(): void {
    this.reader.trim()
    const { totalReserved: total } = this.scheduler.memory
    const { made } = this.sealer
    const garbage = this.reader.read - this.#read + total - this.#taken + made - this.#made
    const { memory } = this
    if (garbage < memory * pressedShare) return
    if (garbage < memory * sweepShare && process.memoryUsage.rss() < memory + baseBytes) return
    this.#read = this.reader.read
    this.#taken = total
    this.#made = made
    Bun.gc(true)
  }
}

let open: Open | undefined
let isRunning = false

/** Turns, until there is nothing to do; messages are heard between them. */
async function run({ scheduler, sweeper }: Open): Promise<void> {
  if (isRunning) return
  isRunning = true
  while (scheduler.runNext()) {
    sweeper.sweep()
    await new Promise((resolve) => setImmediate(resolve))
  }
  isRunning = false
}

function tell(news: WorkerMessage, transfer: ArrayBuffer[] = []): void {
  self.postMessage(news, transfer)
}

function fail(id: number): Job["fail"] {
  return (error) => tell({ type: "failure", id, ...failureOf(error as Error) })
}

function failureOf(error: Error): QueryFailure {
  const { message, stack } = error
  if (error instanceof RequestError) return { kind: "rejected", message }
  const isTooLarge = error instanceof OutOfMemoryBudgetError || error instanceof TailTooLarge
  return isTooLarge ? { kind: "outOfMemory", message } : { kind: "internal", message, stack }
}

function jobOf(
  { reader, scheduler }: Open,
  order: Extract<WorkerRequest<QuerySpec>, { type: "execute" | "render" }>,
): Job {
  const { id, caller } = order
  if (order.type === "execute") {
    return {
      id,
      caller,
      *start(budget) {
        tell({ type: "result", id, outcome: yield* executeQuery(reader, order.query, budget) })
      },
      fail: fail(id),
    }
  }
  return {
    id,
    caller,
    *start(budget) {
      const rendered = yield* render(reader, order.spec, order.limits, budget)
      budget.release()
      // Until the main thread says that they are sent.
      scheduler.memory.reserve(rendered.bytes)
      tell(
        { type: "rendered", id, rendered },
        rendered.chunks.map(({ buffer }) => buffer),
      )
    },
    fail: fail(id),
  }
}

function* sealing(
  sealer: Sealer,
  { includeFew: few, today, collect }: Extract<WorkerRequest<QuerySpec>, { type: "seal" }>,
  /** Rows that came since the look before. */
  growth: number,
): Generator<void, void> {
  const least = few ? 1 : growth > busyGrowth ? enoughWhenBusy : enoughToSeal
  try {
    tell({ type: "sealed", batch: yield* nextWork(sealer, least, today, collect) })
  } catch (error) {
    const failure = error instanceof StaleBlockError ? {} : { failure: (error as Error).message }
    tell({ type: "sealed", batch: undefined, ...failure })
  }
}

function openAt({ path, memory }: Extract<WorkerRequest<QuerySpec>, { type: "open" }>): Open {
  try {
    // On Linux of this thread alone.
    setPriority(0, niceness)
  } catch {
    // The system does not let us; then it takes its share like any other.
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

// SQLite blocks its thread, and so do queries over millions of events and the JSON of their answers. The main thread stays free for events.
self.onmessage = ({ data }: MessageEvent<WorkerRequest<QuerySpec>>) => {
  if (data.type === "open") {
    open = openAt(data)
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
      scheduler.startSealing(sealing(sealer, data, open.unsealed - before))
      break
    }
    case "close":
      open.close()
      tell({ type: "closed" })
      return
  }
  void run(open)
}
