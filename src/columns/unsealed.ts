import { type DictionarySizes, dayMs, type IdKind } from "./batch.ts"
import { ColumnBuilder, MemoryBatch } from "./column-builder.ts"
import type { IdDictionary } from "./id-dictionary.ts"
import type { RowReader } from "./row-reader.ts"

/** Rows of one batch: more are quicker to count, and take longer to make. */
const rowsPerBatch = 65_536
/** Bytes that an id which no block has named takes beside its text. */
const idBytes = 100

/** An event, in the order of time and then of receipt. */
interface Moment {
  ts: number
  id: number
}

/** Up to which row there are blocks. */
export interface SealedState {
  /** Events up to this id are in blocks. */
  id: number
  /** Counts deletions of later ones. */
  deleted: number
  /** Highest id of all. */
  last: number
}

/** How much of the unsealed rows is in memory. */
export interface TailLimits {
  /** Rows up to which all are held. */
  rows: number
  /** Bytes that all may take, those that are made at once, and ids that no block has named; by the estimates of `Builder`. */
  bytes: number
  partBytes: number
  idBytes: number
}

/** Ids of unsealed rows would take more memory than there is; once they are sealed they do not. */
export class TailTooLarge extends Error {}

/** Some unsealed rows of a website and day, those from a time and id on up to another, which are read when they are needed. */
export interface TailPart {
  batches: { name: string; crawler: boolean }[]
  open(name: string, crawler: boolean): MemoryBatch | undefined
}

/** The unsealed rows as batches, and the numbers of ids that no block has named yet. */
export class UnsealedRows {
  batches: MemoryBatch[] = []
  #readTo: number
  /** Rows that were read and are in no batch yet. */
  #builder: ColumnBuilder
  #bytes = 0
  #idBytes = 0
  /** They take too much to be held at once. */
  #isTooLarge = false
  /** What was asked for last, for one asks for a day hour by hour. */
  #parts: { key: string; parts: TailPart[] } | undefined
  #part: { key: string; batches: MemoryBatch[] } | undefined
  readonly #next: DictionarySizes
  /** Numbers from these on that are in the database were given to others since: here they stand for fresh ids. */
  readonly #own: DictionarySizes
  readonly #fresh: Record<IdKind, Map<string, number>> = {
    visitors: new Map(),
    sessions: new Map(),
    profiles: new Map(),
  }

  constructor(
    private readonly rows: RowReader,
    private readonly identities: IdDictionary,
    private readonly sealed: SealedState,
    private readonly limits: TailLimits,
  ) {
    this.#readTo = sealed.id
    this.#builder = new ColumnBuilder(rows, limits.partBytes)
    this.#own = identities.numbers()
    this.#next = { ...this.#own }
  }

  /** False when rows have been sealed or deleted since, so that it must be read anew. */
  fits(now: SealedState): boolean {
    return now.id === this.sealed.id && now.deleted === this.sealed.deleted
  }

  numbers(): DictionarySizes {
    return { ...this.#next }
  }

  /** Whether `batches` are all rows up to `last`, or more. */
  holds(last: number): boolean {
    return this.#readTo >= last && !this.#isTooLarge
  }

  /** All rows up to `last`, unless they are too large. Several questions may do so by turns: each goes on where another is. */
  *readTo(last: number): Generator<void, void> {
    while (this.#readTo < last && !this.#isTooLarge) {
      this.#readTo = this.#builder.addSome(this.#readTo, last)
      if (this.#builder.count >= rowsPerBatch || this.#builder.isFull) this.#flush()
      yield
    }
    if (this.#builder.count > 0) this.#flush()
  }

  #flush(): void {
    const batches = this.#batchesOf(this.#builder)
    this.#builder = new ColumnBuilder(this.rows, this.limits.partBytes)
    this.#bytes += batches.reduce((sum, { columns }) => sum + columns.bytes, 0)
    this.batches.push(...batches)
    if (this.#bytes <= this.limits.bytes) return
    this.#isTooLarge = true
    this.batches = []
  }

  /** Those of a website and day up to the id `last`, by time. */
  day(website: number, day: number, last: number): readonly TailPart[] {
    const key = `${website} ${day} ${last}`
    if (this.#parts?.key !== key) {
      const parts: TailPart[] = []
      const end = (day + 1) * dayMs
      let from: Moment | undefined = { ts: day * dayMs, id: -1 }
      while (from) {
        const begin: Moment = from
        const { batches, end: next } = this.#read(website, last, begin, { ts: end, id: -1 })
        const name = `${key} ${begin.ts} ${begin.id}`
        this.#part = { key: name, batches }
        parts.push({
          batches: batches.map(({ name, crawler }) => ({ name, crawler })),
          open: (ofName, crawler) => {
            if (this.#part?.key !== name) {
              this.#part = undefined
              const { batches } = this.#read(website, last, begin, next ?? { ts: end, id: -1 })
              this.#part = { key: name, batches }
            }
            return this.#part.batches.find((batch) => batch.name === ofName && batch.crawler === crawler)
          },
        })
        from = next
      }
      this.#parts = { key, parts }
    }
    return this.#parts.parts
  }

  /** As many rows above `from`, up to `to`, as may be made at once; `end`: where the others begin. */
  #read(
    website: number,
    last: number,
    from: Moment,
    to: Moment,
  ): { batches: MemoryBatch[]; end: Moment | undefined } {
    const builder = new ColumnBuilder(this.rows, this.limits.partBytes)
    let end: Moment | undefined
    for (const row of this.rows.byTime(website, from.ts, to.ts + 1, this.sealed.id, last, from.id)) {
      const [id, , , ts] = row
      if (ts === to.ts && id > to.id) break
      builder.add(row)
      if (builder.isFull) {
        end = { ts, id }
        break
      }
    }
    return { batches: this.#batchesOf(builder), end }
  }

  #batchesOf(builder: ColumnBuilder): MemoryBatch[] {
    return [...builder.finish((kind, texts) => this.numbersOf(kind, texts))].map(
      (columns) => new MemoryBatch(columns),
    )
  }

  /** Ids that have no number get one. */
  numbersOf(kind: IdKind, texts: readonly string[]): Uint32Array {
    const numbers = this.known(kind, texts)
    const fresh = this.#fresh[kind]
    for (let index = 0; index < texts.length; index++) {
      if (numbers[index] !== 0) continue
      const text = texts[index] as string
      this.#idBytes += idBytes + text.length
      if (this.#idBytes > this.limits.idBytes) throw new TailTooLarge()
      numbers[index] = this.#next[kind]++
      fresh.set(text, numbers[index] as number)
    }
    return numbers
  }

  /** 0 for ids that no event has. */
  known(kind: IdKind, texts: readonly string[]): Uint32Array {
    const fresh = this.#fresh[kind]
    const { numbers } = this.identities.find(kind, texts)
    for (let index = 0; index < texts.length; index++) {
      const number = numbers[index] as number
      if (number === 0 || number >= this.#own[kind]) numbers[index] = fresh.get(texts[index] as string) ?? 0
    }
    return numbers
  }
}
