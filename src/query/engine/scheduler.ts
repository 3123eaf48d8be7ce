import { type Memory, MemoryBudget, OutOfMemoryBudgetError } from "../structures/memory-budget.ts"

/** ms for which a query or sealing runs before the next task runs and messages are read. */
const sliceMs = 15
/**
 * Time for sealing per time for queries. So sealing gets a third of the time under any load, even if one step of a
 * query takes seconds.
 */
const sealingShare = 1 / 2
/** Maximum ms of sealing that can be owed, so that long queries while there is nothing to seal do not count later. */
const maxOwedMs = 10_000
/** Maximum number of callers whose last slice is remembered. */
const maxCallers = 1_000

/** A query, in steps of a few ms. */
export interface Job {
  id: number
  /** Callers are served round-robin, regardless of how many queries each has. */
  caller: string
  /** Called again after a preemption: a query that gave its memory to an older one restarts. */
  start: (budget: MemoryBudget) => Generator<void, void>
  fail: (error: unknown) => void
}

interface Task extends Job {
  /** Undefined before the first slice and after a preemption. */
  steps: Generator<void, void> | undefined
  budget: MemoryBudget
  /** Bytes that must be free before it restarts; 0 if it need not wait. */
  bytesNeeded: number
  /** Number of its last slice. */
  lastSlice: number
}

/** The current query must give its memory to older ones. */
class PreemptedError extends Error {}

/**
 * Runs queries and sealing in time slices, within one memory limit. When memory is full, the youngest query that holds
 * some is preempted and restarts once there is room. The oldest query is never preempted, so that one always finishes:
 * queries that all wait for each other's memory would wait forever.
 */
export class TaskScheduler {
  /** In the order of arrival. */
  readonly #tasks: Task[] = []
  readonly #lastSliceOfCaller = new Map<string, number>()
  readonly memory: SharedMemory
  #sealing: Generator<void, void> | undefined
  #current: Task | undefined
  #slice = 0
  /** ms of sealing that are due before the next query. */
  #owedMs = 0
  #isUrgent = false
  /** ms that queries wait for the next sealing after the current one. */
  #storeWait = 0
  /** Until then, queries wait for the next sealing; ms of `now`. */
  #heldUntil = Number.NEGATIVE_INFINITY

  /** `memory`: bytes of all queries and unsent responses. `memoryPerQuery`: bytes. `now`: ms of a monotonic clock. */
  constructor(private readonly options: { memory: number; memoryPerQuery: number; now: () => number }) {
    this.memory = new SharedMemory(options.memory, (bytes) => this.#reclaim(bytes))
  }

  add(job: Job): void {
    const budget = new MemoryBudget(this.options.memoryPerQuery, this.memory)
    this.#tasks.push({ ...job, steps: undefined, budget, bytesNeeded: 0, lastSlice: 0 })
  }

  /** Stops a query and releases its memory. */
  cancel(id: number): void {
    const task = this.#tasks.find((task) => task.id === id)
    if (task) this.#end(task)
  }

  /**
   * Only one sealing runs at a time. `isUrgent`: queries wait for it, because it makes each of them faster. `storeWait`: ms that they wait
   * for the next one, while this one is stored.
   */
  startSealing(steps: Generator<void, void>, isUrgent = false, storeWait = 0): void {
    this.#sealing = steps
    this.#isUrgent = isUrgent
    this.#storeWait = storeWait
    this.#heldUntil = Number.NEGATIVE_INFINITY
  }

  /** Queries wait up to `ms` for the next sealing. */
  holdQueries(ms: number): void {
    this.#heldUntil = this.options.now() + ms
  }

  /** ms that queries still wait for the next sealing. */
  get waitMs(): number {
    if (this.#sealing || this.#tasks.length === 0) return 0
    return Math.max(0, this.#heldUntil - this.options.now())
  }

  /** Runs one slice of a query or of sealing. False if nothing can run. */
  runNext(): boolean {
    const task = this.#next()
    const { now } = this.options
    const startedAt = now()
    if (this.#sealing && (!task || this.#isUrgent || this.#owedMs >= sliceMs)) {
      if (this.#run(this.#sealing)) {
        this.#sealing = undefined
        this.#isUrgent = false
        this.holdQueries(this.#storeWait)
      }
      this.#owedMs = Math.max(0, this.#owedMs - (now() - startedAt))
      return true
    }
    if (!task || this.waitMs > 0) return false
    task.lastSlice = ++this.#slice
    this.#lastSliceOfCaller.set(task.caller, this.#slice)
    this.#runQuery(task)
    this.#owedMs = Math.min(maxOwedMs, this.#owedMs + (now() - startedAt) * sealingShare)
    if (this.#lastSliceOfCaller.size > maxCallers) this.#lastSliceOfCaller.clear()
    return true
  }

  /** The query that has waited longest, of the caller that has waited longest. */
  #next(): Task | undefined {
    const lastSliceOf = (task: Task) => this.#lastSliceOfCaller.get(task.caller) ?? 0
    const [oldest] = this.#tasks
    let next: Task | undefined
    for (const task of this.#tasks) {
      if (task.bytesNeeded > 0 && task !== oldest && task.bytesNeeded > this.memory.available) continue
      const isEarlier =
        !next ||
        lastSliceOf(task) < lastSliceOf(next) ||
        (task.caller === next.caller && task.lastSlice < next.lastSlice)
      if (isEarlier) next = task
    }
    return next
  }

  #runQuery(task: Task): void {
    this.#current = task
    try {
      task.bytesNeeded = 0
      task.steps ??= task.start(task.budget)
      if (this.#run(task.steps)) this.#end(task)
    } catch (error) {
      if (error instanceof PreemptedError) this.#preempt(task)
      else {
        this.#end(task)
        task.fail(error)
      }
    } finally {
      this.#current = undefined
    }
  }

  /** Returns true once it is done. */
  #run(steps: Generator<void, void>): boolean {
    const { now } = this.options
    const end = now() + sliceMs
    do {
      if (steps.next().done) return true
    } while (now() < end)
    return false
  }

  #end(task: Task): void {
    const index = this.#tasks.indexOf(task)
    if (index < 0) return
    this.#tasks.splice(index, 1)
    task.steps?.return()
    task.budget.release()
  }

  #preempt(task: Task): void {
    task.bytesNeeded = Math.max(task.bytesNeeded, task.budget.reserved)
    task.steps?.return()
    task.steps = undefined
    task.budget.release()
  }

  /**
   * Preempts a younger query than the current one and returns false, or returns true if the current query can exceed the limit. Throws
   * if the current query must wait.
   */
  #reclaim(bytes: number): boolean {
    const current = this.#current
    if (!current) return true
    const age = this.#tasks.indexOf(current)
    const younger = this.#tasks.findLast((task, index) => index > age && task.budget.reserved > 0)
    if (younger) {
      this.#preempt(younger)
      return false
    }
    // The rest is held by unsent responses, which have limits of their own.
    if (age === 0) return true
    current.bytesNeeded = current.budget.reserved + bytes
    if (current.bytesNeeded > this.options.memoryPerQuery) throw new OutOfMemoryBudgetError()
    throw new PreemptedError()
  }
}

/** Bytes of all queries and unsent responses. */
export class SharedMemory implements Memory {
  taken = 0
  /** All bytes that were ever reserved: an estimate of the garbage. */
  totalReserved = 0

  constructor(
    private readonly size: number,
    /** Called until there is room for `bytes`. Returns true if they can exceed the size. */
    private readonly reclaim: (bytes: number) => boolean,
  ) {}

  get available(): number {
    return Math.max(0, this.size - this.taken)
  }

  reserve(bytes: number): void {
    if (bytes > 0) {
      while (this.taken + bytes > this.size) if (this.reclaim(bytes)) break
      this.totalReserved += bytes
    }
    this.taken += bytes
  }
}
