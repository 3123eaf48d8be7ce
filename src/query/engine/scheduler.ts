import { type Memory, MemoryBudget, OutOfMemoryBudgetError } from "../structures/memory-budget.ts"

/** How long a query or the sealer runs before the next task runs and messages are read, in ms. */
const sliceMs = 15
/**
 * Ratio of sealing time to query time. Sealing gets a third of the time under any load, even if a single step of a
 * query takes seconds.
 */
const sealingShare = 1 / 2
/**
 * Maximum sealing time that can accumulate, in ms. Without this limit, sealing could delay queries for minutes after a
 * period in which there was nothing to seal.
 */
const maxOwedMs = 10_000
/**
 * A preempted query that needs more than this share of the memory counts as large. While a query holds more than this
 * share, no other query of its caller starts.
 */
const largeShare = 1 / 8
/**
 * Maximum query time that a caller can save up while it has no queries, or while its queries wait for memory, in ms
 * divided by the caller's weight. The caller's next queries run first until they have used up this time, so that a
 * dashboard page with a few queries does not have to take turns with queries that run for seconds.
 */
const maxCreditMs = 250
/** Maximum number of callers whose time is remembered. */
const maxCallers = 1_000

/** A query that runs in steps of a few ms. */
export interface Job {
  id: number
  /**
   * Callers share the time in proportion to their weights, regardless of how many queries they have and how long the
   * steps take.
   */
  caller: string
  /** The default is 1. */
  weight?: number
  /**
   * Starts the query. Called again after a preemption, because a preempted query gives up its memory and must start
   * over.
   */
  start: (budget: MemoryBudget) => Generator<void, void>
  fail: (error: unknown) => void
}

interface Task extends Job {
  /** Undefined before the first slice and after a preemption. */
  steps: Generator<void, void> | undefined
  budget: MemoryBudget
  /** True if the query was preempted and needs so much memory that only one such query runs at a time. */
  isLarge: boolean
  /** Bytes that must be free before the query restarts. 0 means that it can restart at any time. */
  bytesNeeded: number
  /** Number of the last slice in which the query ran. */
  lastSlice: number
}

/** Thrown if the current query must give up its memory for older queries. */
class PreemptedError extends Error {}

/**
 * Runs queries and the sealer in time slices, within one memory limit. When memory is full, the largest query that is
 * younger than the current one is preempted, and restarts when there is room. Large preempted queries run one at a
 * time, because in parallel they would preempt each other again, and each restart repeats all work. The oldest query is
 * never preempted, so at least one query always finishes. Without preemption, queries could wait for each other's
 * memory forever.
 */
export class TaskScheduler {
  /** Tasks in order of arrival. */
  readonly #tasks: Task[] = []
  /**
   * Time used by each caller, in ms divided by its weight. If it is less than `#commonTime` minus `maxCreditMs`, that
   * time counts instead.
   */
  readonly #timeOfCaller = new Map<string, number>()
  /** The most time that a caller had already used when one of its queries got a slice. */
  #commonTime = 0
  readonly memory: SharedMemory
  #sealing: Generator<void, void> | undefined
  #current: Task | undefined
  #slice = 0
  /** Sealing time that has accumulated, in ms. Sealing takes precedence over queries if this is at least one slice. */
  #owedMs = 0
  #isUrgent = false
  /** How long queries wait for the next sealing task after the current one has ended, in ms. */
  #storeWait = 0
  /** Queries wait for the next sealing task until this time, in ms on the clock `now`. */
  #heldUntil = Number.NEGATIVE_INFINITY

  constructor(
    private readonly options: {
      /** Memory for all queries and unsent responses, in bytes. */
      memory: number
      /** Memory for one query, in bytes. */
      memoryPerQuery: number
      /** Returns the time of a monotonic clock in ms. */
      now: () => number
      /** Cleans up after each slice. The time that this takes is charged to the caller of the query. */
      afterSlice?: () => void
    },
  ) {
    this.memory = new SharedMemory(options.memory, (bytes) => this.#reclaim(bytes))
  }

  add(job: Job): void {
    const budget = new MemoryBudget(this.options.memoryPerQuery, this.memory)
    this.#tasks.push({ ...job, steps: undefined, budget, isLarge: false, bytesNeeded: 0, lastSlice: 0 })
  }

  /** Returns the time that counts as used by a caller. A caller that could not run saves up no more than others. */
  #timeOf(caller: string): number {
    return Math.max(this.#timeOfCaller.get(caller) ?? 0, this.#commonTime - maxCreditMs)
  }

  /** Stops a query and releases its memory. */
  cancel(id: number): void {
    const task = this.#tasks.find((task) => task.id === id)
    if (task) this.#end(task)
  }

  /**
   * Starts sealing. Only one sealing task can run at a time. `isUrgent`: queries wait until the task is done, because
   * it makes them faster. `storeWait`: afterwards, while the result is stored, queries wait up to this many ms for the
   * next sealing task.
   */
  startSealing(steps: Generator<void, void>, isUrgent = false, storeWait = 0): void {
    this.#sealing = steps
    this.#isUrgent = isUrgent
    this.#storeWait = storeWait
    this.#heldUntil = Number.NEGATIVE_INFINITY
  }

  /** Makes queries wait up to `ms` for the next sealing task. */
  holdQueries(ms: number): void {
    this.#heldUntil = this.options.now() + ms
  }

  /** How much longer queries wait for the next sealing task, in ms. */
  get waitMs(): number {
    if (this.#sealing || this.#tasks.length === 0) return 0
    return Math.max(0, this.#heldUntil - this.options.now())
  }

  /** Runs one slice of a query or of sealing. Returns false if nothing can run. */
  runNext(): boolean {
    const { now, afterSlice } = this.options
    const startedAt = now()
    const slice = this.#runSlice()
    if (!slice) return false
    // Called here because at this point, no variable refers to a query that has ended, so its memory can be collected.
    afterSlice?.()
    const ms = now() - startedAt
    if (slice.caller === undefined) {
      this.#owedMs = Math.max(0, this.#owedMs - ms)
      return true
    }
    if (this.#timeOfCaller.size > maxCallers) this.#timeOfCaller.clear()
    this.#timeOfCaller.set(slice.caller, this.#timeOf(slice.caller) + ms / slice.weight)
    this.#owedMs = Math.min(maxOwedMs, this.#owedMs + ms * sealingShare)
    return true
  }

  /**
   * Runs one slice. Returns the caller of the query that ran and its weight, or an undefined `caller` if sealing ran.
   * Returns undefined if nothing can run.
   */
  #runSlice(): { caller: string | undefined; weight: number } | undefined {
    const task = this.#next()
    if (this.#sealing && (!task || this.#isUrgent || this.#owedMs >= sliceMs)) {
      if (this.#run(this.#sealing)) {
        this.#sealing = undefined
        this.#isUrgent = false
        this.holdQueries(this.#storeWait)
      }
      return { caller: undefined, weight: 1 }
    }
    if (!task || this.waitMs > 0) return undefined
    const { caller, weight = 1 } = task
    task.lastSlice = ++this.#slice
    this.#commonTime = Math.max(this.#commonTime, this.#timeOf(caller))
    this.#runQuery(task)
    return { caller, weight }
  }

  /**
   * Returns the next query to run. Of the queries that do not have to wait for memory, this is the longest-waiting
   * query of the caller that has used the least time.
   */
  #next(): Task | undefined {
    const [oldest] = this.#tasks
    const oldestLarge = this.#tasks.find(({ isLarge }) => isLarge)
    let next: Task | undefined
    for (const task of this.#tasks) {
      const mustWait =
        (task.isLarge && task !== oldestLarge) ||
        (!task.steps && this.#holdsMuch(task.caller)) ||
        (task.bytesNeeded > 0 && task.bytesNeeded > this.memory.available)
      if (mustWait && task !== oldest) continue
      const difference = next ? this.#timeOf(task.caller) - this.#timeOf(next.caller) : -1
      if (difference < 0 || (difference === 0 && task.lastSlice < (next?.lastSlice ?? 0))) next = task
    }
    return next
  }

  /**
   * True if a query of this caller holds a lot of memory. In that case, no other query of the same caller starts. If
   * two of them ran in parallel, neither would finish earlier, but both would hold memory for longer.
   */
  #holdsMuch(caller: string): boolean {
    const limit = this.options.memory * largeShare
    return this.#tasks.some((task) => task.caller === caller && task.budget.reserved > limit)
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

  /** Runs steps until the slice ends. Returns true if all steps are done. */
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
    task.isLarge = task.bytesNeeded > this.options.memory * largeShare
    task.steps?.return()
    task.steps = undefined
    task.budget.release()
  }

  /**
   * Frees memory by preempting the largest query that is younger than the current one, and returns false. If no younger
   * query holds memory, returns true if the current query can exceed the limit, and throws otherwise.
   */
  #reclaim(bytes: number): boolean {
    const current = this.#current
    if (!current) return true
    const age = this.#tasks.indexOf(current)
    let largest: Task | undefined
    for (const task of this.#tasks.slice(age + 1))
      if (task.budget.reserved > (largest?.budget.reserved ?? 0)) largest = task
    if (largest) {
      this.#preempt(largest)
      return false
    }
    // The current query is the oldest, and no other query holds memory. The rest is held by unsent responses, which
    // have their own limits.
    if (age === 0) return true
    current.bytesNeeded = current.budget.reserved + bytes
    if (current.bytesNeeded > this.options.memoryPerQuery) throw new OutOfMemoryBudgetError()
    throw new PreemptedError()
  }
}

/** Memory of all queries and unsent responses, in bytes. */
export class SharedMemory implements Memory {
  taken = 0
  /** Total bytes reserved since the start, used to estimate the amount of garbage. */
  totalReserved = 0

  constructor(
    private readonly size: number,
    /** Called until there is room for `bytes`. Returns true if the reservation can exceed the limit. */
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
