import { setPriority } from "node:os"
import { Moved } from "../columns/batch.ts"
import { Reader } from "../columns/reader.ts"
import { nextWork, Sealer, type Work } from "../columns/seal.ts"
import { openForReading } from "../store/open.ts"
import { type Answered, answering } from "./answer.ts"
import { TooLarge } from "./distinct.ts"
import type { Question } from "./question.ts"

declare const self: Worker

/** A tenth of the time of a busy server: events that come in go before questions about them. */
const niceness = 10
/** ms that one question or the sealing runs before the next one's turn, and before messages are heard. */
const slice = 15
/** ms: longer than most questions take; one that takes longer is begun again. */
const patience = 30_000
/** KiB of SQLite's own cache: columns are kept elsewhere, and the file is in the system's cache. */
const pageCacheKiB = 16_384
/** The share of the memory after which columns that nobody holds any more are let go of: the engine knows little of what they weigh. */
const sweepShare = 1 / 4
/** The share of the memory that one answer may take. */
const answerShare = 1 / 2
/** Unsealed rows from which they are sealed: many at once where they come fast, for each sealing costs a commit. */
const enoughToSeal = 8_192
const enoughWhenBusy = 65_536
/** Rows from one look to the next, a second, that are fast. */
const busyGrowth = 4_096

export type Order =
  | { what: "open"; path: string; memory: number }
  | { what: "ask"; id: number; question: Question }
  | { what: "stop"; id: number }
  /** `collect`: look for numbers of ids that are not used any more, too. `few`: even if there are only a few rows. Of days before `today` (since 1970-01-01) small blocks are made one, be they two. */
  | { what: "seal"; few: boolean; today: number | undefined; collect: boolean }
  | { what: "close" }

export type News =
  | { what: "answer"; id: number; answered: Answered<Question> }
  | { what: "failure"; id: number; tooLarge: boolean; message: string }
  | { what: "work"; work: Work | undefined; failure?: string }
  | { what: "closed" }

/** What runs in turns. `id`: of the question; undefined: the sealing. */
interface Task {
  id: number | undefined
  /** Undefined: it was dropped. */
  steps: Generator<void, News | undefined>
}

class Turns {
  readonly #tasks: Task[] = []
  #running = false

  /** `done`: after each task. */
  constructor(
    private readonly tell: (news: News) => void,
    private readonly done: () => void,
  ) {}

  add(task: Task): void {
    this.#tasks.push(task)
    if (!this.#running) void this.#run()
  }

  drop(id: number): void {
    const index = this.#tasks.findIndex((task) => task.id === id)
    // What it was in the middle of is ended, so that what it holds is free.
    for (const { steps } of index >= 0 ? this.#tasks.splice(index, 1) : []) steps.return(undefined)
  }

  async #run(): Promise<void> {
    this.#running = true
    for (let task = this.#tasks.shift(); task; task = this.#tasks.shift()) {
      const news = turn(task)
      if (news) {
        this.tell(news)
        this.done()
      } else this.#tasks.push(task)
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#running = false
  }
}

/** Undefined: it is not done yet. */
function turn({ id, steps }: Task): News | undefined {
  const end = performance.now() + slice
  try {
    do {
      const step = steps.next()
      if (step.done) return step.value
    } while (performance.now() < end)
    return undefined
  } catch (error) {
    const { message } = error as Error
    if (id !== undefined) return { what: "failure", id, tooLarge: error instanceof TooLarge, message }
    return error instanceof Moved
      ? { what: "work", work: undefined }
      : { what: "work", work: undefined, failure: message }
  }
}

function* answeringNews(
  reader: Reader,
  id: number,
  question: Question,
  memory: number,
): Generator<void, News> {
  return { what: "answer", id, answered: yield* answering(reader, question, memory) }
}

function* sealing(
  sealer: Sealer,
  { few, today, collect }: Extract<Order, { what: "seal" }>,
  /** Rows that came since the look before. */
  growth: number,
): Generator<void, News> {
  const least = few ? 1 : growth > busyGrowth ? enoughWhenBusy : enoughToSeal
  const work = yield* nextWork(sealer, least, today, collect)
  return { what: "work", work }
}

interface Open {
  reader: Reader
  sealer: Sealer
  unsealed: number
  /** Bytes that one answer may take. */
  memory: number
  /** Bytes that had been read when the last ones were let go of, and after how many more it is time again. */
  swept: number
  sweepAfter: number
  close: () => void
}

let open: Open | undefined
const turns = new Turns((news) => self.postMessage(news), sweep)

/** Else twice as much memory is held as is used: some 20 ms, once much was read. */
function sweep(): void {
  if (!open || open.reader.read - open.swept < open.sweepAfter) return
  open.swept = open.reader.read
  Bun.gc(true)
}

// SQLite blocks its thread, and so do questions over millions of events. The main thread stays free for events.
self.onmessage = ({ data }: MessageEvent<Order>) => {
  if (data.what === "open") {
    try {
      // On Linux of this thread alone.
      setPriority(0, niceness)
    } catch {
      // The system does not let us; then it takes its share like any other.
    }
    const db = openForReading(data.path)
    db.pragma(`cache_size = -${pageCacheKiB}`)
    const reader = new Reader(db, data.memory)
    open = {
      reader,
      sealer: new Sealer(db, () => performance.now(), patience, reader.identities),
      unsealed: 0,
      memory: data.memory * answerShare,
      swept: 0,
      sweepAfter: data.memory * sweepShare,
      close: () => db.close(),
    }
    return
  }
  if (!open) return
  if (data.what === "ask") {
    turns.add({ id: data.id, steps: answeringNews(open.reader, data.id, data.question, open.memory) })
  } else if (data.what === "stop") turns.drop(data.id)
  else if (data.what === "seal") {
    const before = open.unsealed
    open.unsealed = open.sealer.unsealed()
    turns.add({ id: undefined, steps: sealing(open.sealer, data, open.unsealed - before) })
  } else {
    open.close()
    self.postMessage({ what: "closed" } satisfies News)
  }
}
