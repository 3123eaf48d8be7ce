import { type Memory, MemoryBudget, OutOfMemoryBudgetError } from "../structures/id-set.ts"

/** ms that one query or the sealing runs before the next one's turn, and before messages are heard. */
const slice = 15
/** Turns of queries after which it is the sealing's: it gets a third of the time at least, however many queries run. */
const queryTurns = 2
/** Callers whose last turns are remembered. */
const mostCallers = 1_000

/** A query, in steps of some ms. */
export interface Job {
  id: number
  /** Callers have their turns one after another, however many queries each has. */
  caller: string
  /** Begins it, also a second time: a query that had to leave its memory to an older one is run again from its start. */
  begin: (budget: MemoryBudget) => Generator<void, void>
  fail: (error: unknown) => void
}

interface Task extends Job {
  /** Undefined: it is not begun, or has to begin again. */
  steps: Generator<void, void> | undefined
  budget: MemoryBudget
  /** Bytes that must be free before it begins again; 0: none. */
  needs: number
  turnAt: number
}

/** A query has to leave its memory to older ones. */
class Interrupted extends Error {}

/**
 * Runs queries and the sealing by turns, within one memory. Where it is full, the youngest query that holds some is ended and begins again
 * when there is room; the oldest one always goes on. Memory that nobody waits for could not be waited for by all.
 */
export class TaskScheduler {
  /** In the order of arrival. */
  readonly #tasks: Task[] = []
  readonly #turnsOfCallers = new Map<string, number>()
  readonly memory: SharedMemory
  #sealing: Generator<void, void> | undefined
  #current: Task | undefined
  #turn = 0
  #turnsSinceSealing = 0

  /** `memory`: bytes of all queries and unsent answers together. `ofQuery`: of one. `now`: ms of a clock that is never set. */
  constructor(private readonly options: { memory: number; ofQuery: number; now: () => number }) {
    this.memory = new SharedMemory(options.memory, (bytes) => this.#makeRoom(bytes))
  }

  add(job: Job): void {
    const budget = new MemoryBudget(this.options.ofQuery, this.memory)
    this.#tasks.push({ ...job, steps: undefined, budget, needs: 0, turnAt: 0 })
  }

  /** Ends a query; what it holds is free. */
  drop(id: number): void {
    const task = this.#tasks.find((one) => one.id === id)
    if (task) this.#end(task)
  }

  /** There is one sealing at a time. */
  seal(steps: Generator<void, void>): void {
    this.#sealing = steps
  }

  /** Lets one query or the sealing run for a while. False where none of them can. */
  turn(): boolean {
    const task = this.#next()
    if (this.#sealing && (!task || this.#turnsSinceSealing >= queryTurns)) {
      this.#turnsSinceSealing = 0
      if (this.#run(this.#sealing)) this.#sealing = undefined
      return true
    }
    if (!task) return false
    this.#turnsSinceSealing++
    task.turnAt = ++this.#turn
    this.#turnsOfCallers.set(task.caller, this.#turn)
    this.#runQuery(task)
    if (this.#turnsOfCallers.size > mostCallers) this.#turnsOfCallers.clear()
    return true
  }

  /** Of the caller whose last turn is the longest ago, the query of which the same is true. */
  #next(): Task | undefined {
    const turnOf = (task: Task) => this.#turnsOfCallers.get(task.caller) ?? 0
    const [oldest] = this.#tasks
    let next: Task | undefined
    for (const task of this.#tasks) {
      if (task.needs > 0 && task !== oldest && task.needs > this.memory.left) continue
      const isEarlier =
        !next || turnOf(task) < turnOf(next) || (task.caller === next.caller && task.turnAt < next.turnAt)
      if (isEarlier) next = task
    }
    return next
  }

  #runQuery(task: Task): void {
    this.#current = task
    try {
      task.needs = 0
      task.steps ??= task.begin(task.budget)
      if (this.#run(task.steps)) this.#end(task)
    } catch (error) {
      if (error instanceof Interrupted) this.#interrupt(task)
      else {
        this.#end(task)
        task.fail(error)
      }
    } finally {
      this.#current = undefined
    }
  }

  /** True where it is done. */
  #run(steps: Generator<void, void>): boolean {
    const { now } = this.options
    const end = now() + slice
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

  #interrupt(task: Task): void {
    task.needs = Math.max(task.needs, task.budget.taken)
    task.steps?.return()
    task.steps = undefined
    task.budget.release()
  }

  /** Makes room for what the current query takes, or says whether it may take more than there is. Throws where it has to wait. */
  #makeRoom(bytes: number): boolean {
    const current = this.#current
    if (!current) return true
    const age = this.#tasks.indexOf(current)
    const younger = this.#tasks.findLast((task, place) => place > age && task.budget.taken > 0)
    if (younger) {
      this.#interrupt(younger)
      return false
    }
    // What is left is held by unsent answers, which are bounded themselves.
    if (age === 0) return true
    current.needs = current.budget.taken + bytes
    if (current.needs > this.options.ofQuery) throw new OutOfMemoryBudgetError()
    throw new Interrupted()
  }
}

/** Bytes that queries and unsent answers take together. */
export class SharedMemory implements Memory {
  taken = 0
  /** All that was ever taken: how much garbage there may be. */
  total = 0

  constructor(
    private readonly size: number,
    /** Called until there is room for so many bytes, or it says that they may be taken all the same. */
    private readonly makeRoom: (bytes: number) => boolean,
  ) {}

  get left(): number {
    return Math.max(0, this.size - this.taken)
  }

  take(bytes: number): void {
    if (bytes > 0) {
      while (this.taken + bytes > this.size) if (this.makeRoom(bytes)) break
      this.total += bytes
    }
    this.taken += bytes
  }
}
