import { edenGC, heapSize } from "bun:jsc"
import { readdirSync, readFileSync } from "node:fs"
import { setPriority } from "node:os"
import { StaleBlockError } from "../columns/batch.ts"
import { backlogRows, SealPolicy } from "../columns/seal-policy.ts"
import { nextWork, Sealer } from "../columns/sealer.ts"
import { SnapshotReader } from "../columns/snapshot-reader.ts"
import { UnsealedIdsTooLargeError } from "../columns/unsealed.ts"
import { RequestError } from "../errors.ts"
import { executeQuery } from "../query/engine/execute.ts"
import type { QueryFailure, RenderedRows, WorkerMessage, WorkerRequest } from "../query/engine/messages.ts"
import { type Job, TaskScheduler } from "../query/engine/scheduler.ts"
import { OutOfMemoryBudgetError } from "../query/structures/memory-budget.ts"
import { openForReading } from "../store/db/open.ts"
import { executeOnFile } from "./execute-on-file.ts"
import { pageCacheKiB, queriesShare, queryShare } from "./memory-sizes.ts"
import { NextQuery } from "./next-query.ts"
import type { QuerySpec, RunQuery } from "./query-spec.ts"
import { render } from "./render.ts"
import { Sweeper } from "./sweeper.ts"

declare const self: Worker

/** Gives the query thread about a tenth of the CPU time on a busy server, because ingestion has priority. */
const niceness = 10
/**
 * How long a replaced block stays readable, in ms. Most queries finish sooner. A query that needs the block later is
 * restarted.
 */
const gracePeriod = 30_000
/** How long queries wait for the main thread to store a sealed batch, in ms. */
const storeWait = 5_000

interface WorkerState {
  reader: SnapshotReader
  sealer: Sealer
  scheduler: TaskScheduler
  policy: SealPolicy
  close: () => void
}

let open: WorkerState | undefined
let isRunning = false
const nextQuery = new NextQuery()

/** Runs scheduled steps until none are left. Messages are handled between steps. */
async function run(state: WorkerState): Promise<void> {
  const { scheduler } = state
  if (isRunning) return
  isRunning = true
  while (scheduler.runNext()) {
    await nextQuery.wait()
  }
  isRunning = false
  // Waiting queries must continue even if no request to seal arrives.
  if (scheduler.waitMs > 0) setTimeout(() => void run(state), scheduler.waitMs)
}

function post(message: WorkerMessage, transfer: ArrayBuffer[] = []): void {
  self.postMessage(message, transfer)
}

function fail(id: number): Job["fail"] {
  return (error) => post({ type: "failure", id, ...failureOf(error) })
}

function failureOf(error: unknown): QueryFailure {
  // The type assertion is safe because this thread's code, SQLite and the JavaScript engine only throw Error objects.
  const { message, stack } = error as Error
  if (error instanceof RequestError)
    return { kind: error.reason === "events_removed" ? "eventsRemoved" : "rejected", message }
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
    weight: request.weight,
    *start(budget) {
      const statistics: RenderedRows["statistics"] = []
      const run: RunQuery = function* (query) {
        const outcome = yield* executeOnFile(reader, query, budget)
        statistics.push(outcome.statistics)
        return outcome.result
      }
      const rendered = yield* render(request.spec, run, statistics, request.limits, budget)
      budget.release()
      // Reserved until the main thread has sent the response.
      scheduler.memory.reserve(rendered.bytes)
      post(
        { type: "rendered", id, rendered },
        rendered.chunks.map(({ buffer }) => buffer),
      )
      if (request.limits.queries > 0) nextQuery.expect()
    },
    fail: fail(id),
  }
}

function* seal(
  { sealer, reader, policy }: WorkerState,
  { includeFew, today, collect }: Extract<WorkerRequest<QuerySpec>, { type: "seal" }>,
  unsealed: number,
): Generator<void, void> {
  const minimum = policy.minRows(includeFew || reader.hasHeavyRows)
  const { minParts } = policy
  try {
    const batch = yield* nextWork(sealer, { minimum, today, minParts, collect })
    post({ type: "sealed", batch, unsealed })
  } catch (error) {
    const failure = error instanceof StaleBlockError ? {} : { failure: failureOf(error).message }
    post({ type: "sealed", batch: undefined, unsealed, ...failure })
  }
}

/**
 * Starts sealing. Queries wait if there is a backlog, or if every query would be slowed down by the rows to be sealed.
 */
function startSealing(
  state: WorkerState,
  request: Extract<WorkerRequest<QuerySpec>, { type: "seal" }>,
): void {
  const { scheduler, reader, policy } = state
  const { id, last } = reader.sealed()
  const unsealed = last - id
  const now = performance.now()
  policy.update(unsealed, last, now)
  const hasBacklog = policy.hasBacklog(now)
  scheduler.startSealing(
    seal(state, request, unsealed),
    hasBacklog || reader.hasSlowRows,
    hasBacklog ? storeWait : 0,
  )
}

/**
 * Lowers the priority of the garbage collector's helper threads, which start with the priority of the main thread and
 * would delay that thread. Called after each collection, because idle helper threads end and are replaced by new ones.
 * Does nothing outside Linux, because other systems apply priorities to whole processes.
 */
function lowerCollectors(): void {
  if (process.platform !== "linux") return
  try {
    for (const thread of readdirSync("/proc/self/task"))
      if (readFileSync(`/proc/self/task/${thread}/comm`, "latin1") === "HeapHelper\n")
        setPriority(Number(thread), niceness)
  } catch {
    // The thread has ended, or the change is not permitted and the thread keeps its normal priority.
  }
}

function openAt({ path, memory }: Extract<WorkerRequest<QuerySpec>, { type: "open" }>): WorkerState {
  try {
    // On Linux, this only affects the current thread.
    setPriority(0, niceness)
  } catch {
    // If this is not permitted, the thread runs with normal priority.
  }
  const db = openForReading(path)
  db.pragma(`cache_size = -${pageCacheKiB(memory)}`)
  const now = () => performance.now()
  const reader = new SnapshotReader(db, memory, undefined, undefined, now)
  const scheduler = new TaskScheduler({
    memory: memory * queriesShare,
    memoryPerQuery: memory * queryShare,
    now,
    afterSlice: () => {
      reader.trim()
      sweeper.sweep(reader.read + scheduler.memory.totalReserved + sealer.builtBytes)
    },
  })
  reader.lend(scheduler.memory)
  const { id, last } = reader.sealed()
  if (last - id > backlogRows) scheduler.holdQueries(storeWait)
  const sealer = new Sealer(db, now, gracePeriod, reader.identities)
  const sweeper = new Sweeper(memory, {
    now,
    rss: () => process.memoryUsage.rss(),
    heapSize,
    collectAll: () => {
      Bun.gc(true)
      lowerCollectors()
    },
    collectNew: edenGC,
  })
  return {
    reader,
    sealer,
    scheduler,
    policy: new SealPolicy(last, now()),
    close: () => db.close(),
  }
}

// SQLite calls, large queries and the serialization of results block a thread. This worker keeps the main thread free
// for ingestion.
self.onmessage = ({ data }: MessageEvent<WorkerRequest<QuerySpec>>) => {
  if (data.type === "open") {
    open = openAt(data)
    post({ type: "opened" })
    return
  }
  if (!open) return
  const { scheduler } = open
  switch (data.type) {
    case "execute":
    case "render":
      scheduler.add(jobOf(open, data))
      nextQuery.arrive()
      break
    case "cancel":
      scheduler.cancel(data.id)
      break
    case "release":
      scheduler.memory.reserve(-data.bytes)
      break
    case "seal":
      startSealing(open, data)
      break
    case "close":
      open.close()
      post({ type: "closed" })
      return
  }
  void run(open)
}
