import { type DictionarySizes, dayMs, type IdKind, type SliceId, sliceKey } from "./batch.ts"
import { ColumnBuilder } from "./column-builder.ts"
import type { IdDictionary } from "./id-dictionary.ts"
import { MemoryBatch } from "./memory-batch.ts"
import type { RowReader } from "./row-reader.ts"
import type { SealedState } from "./sealed-state.ts"

/**
 * Number of rows that are built into batches together. Larger batches are faster to count, but take longer to build.
 */
const rowsPerBatch = 65_536
/**
 * Estimated bytes of memory per unsealed id, in addition to its text. An id is unsealed if no block has used it yet.
 */
const idBytes = 100

/**
 * If the unsealed rows take up more than this fraction of their memory limit, they are sealed even if there are only a
 * few of them.
 */
const heavyShare = 1 / 4

/** The position of a row among rows that are sorted by time and then by row id. */
interface Position {
  ts: number
  id: number
}

/** Memory limits for unsealed rows. */
export interface UnsealedLimits {
  /** Maximum number of rows held in memory. */
  rows: number
  /** Maximum size of all batches held in memory, in bytes, as estimated by `ColumnBuilder`. */
  bytes: number
  /** Maximum size of the batches that are built together, in bytes. */
  partBytes: number
  /** Maximum size of the unsealed ids, in bytes. */
  idBytes: number
}

/**
 * Thrown when the unsealed ids exceed their memory limit. Sealed ids take up no memory, so the query succeeds after the
 * rows are sealed.
 */
export class UnsealedIdsTooLargeError extends Error {}

/**
 * Some of the unsealed rows of a website and day. The parts of a day are in chronological order. A part is read on
 * demand.
 */
export interface UnsealedPart {
  batches: SliceId[]
  open(id: SliceId): MemoryBatch | undefined
}

/** The unsealed rows as batches, and the dictionary ids of unsealed ids. */
export class UnsealedRows {
  batches: MemoryBatch[] = []
  /**
   * Estimated bytes of columns built from unsealed rows, in total. Includes the columns of parts that are no longer in
   * memory.
   */
  built = 0
  #lastRead: number
  /** Collects rows that were read but are not in a batch yet. */
  #builder: ColumnBuilder
  #bytes = 0
  /** The value that `#bytes` would have if all wide rows were parsed. */
  #parsedBytes = 0
  #idBytes = 0
  /** True if the rows exceed the memory limit, so that they are not held in memory. */
  #isTooLarge = false
  /**
   * The result of the last call to `day`. It is cached because queries can request the same day several times, once for
   * each hour. `#part`: the part that was read last.
   */
  #parts: { key: string; parts: UnsealedPart[] } | undefined
  #part: { key: string; batches: MemoryBatch[] } | undefined
  readonly #next: DictionarySizes
  /**
   * The dictionary sizes when this object was created. Since then, dictionary ids from these sizes on may have been
   * assigned in the database. This object ignores those assignments. It assigns these dictionary ids itself, to the ids
   * in the rows that it reads.
   */
  readonly #initialSizes: DictionarySizes
  readonly #newIds: Record<IdKind, Map<string, number>> = {
    visitors: new Map(),
    sessions: new Map(),
    profiles: new Map(),
  }

  constructor(
    private readonly rows: RowReader,
    private readonly dictionary: IdDictionary,
    private readonly sealed: SealedState,
    private readonly limits: UnsealedLimits,
  ) {
    this.#lastRead = sealed.id
    this.#builder = new ColumnBuilder(rows, limits.partBytes)
    this.#initialSizes = dictionary.sizes()
    this.#next = { ...this.#initialSizes }
  }

  /**
   * Returns false if rows have been sealed or unsealed rows have been deleted since this object was created. The caller
   * then needs a new object.
   */
  isCurrent(now: SealedState): boolean {
    return now.id === this.sealed.id && now.deleted === this.sealed.deleted
  }

  dictionarySizes(): DictionarySizes {
    return { ...this.#next }
  }

  /** True if `batches` contains all rows up to the id `last`. */
  hasAllUpTo(last: number): boolean {
    return this.#lastRead >= last && !this.#isTooLarge
  }

  /**
   * Reads all rows up to the id `last`, unless they exceed the memory limit. Several queries can run this method at the
   * same time, because each step continues where the last step stopped.
   */
  *readTo(last: number): Generator<void, void> {
    while (this.#lastRead < last && !this.#isTooLarge) {
      this.#lastRead = this.#builder.addSome(this.#lastRead, last)
      if (this.#builder.count >= rowsPerBatch || this.#builder.isFull) this.#flush()
      yield
    }
    if (this.#builder.count > 0) this.#flush()
  }

  #flush(): void {
    const batches = this.#batchesOf(this.#builder)
    this.#builder = new ColumnBuilder(this.rows, this.limits.partBytes)
    for (const { columns } of batches) {
      this.#bytes += columns.textBytes ?? columns.bytes
      this.#parsedBytes += columns.bytes
    }
    this.batches.push(...batches)
    if (this.#bytes <= this.limits.bytes) return
    this.#isTooLarge = true
    this.batches = []
  }

  /** Reads the rows of a website and day up to the id `last`. Returns them as parts, in chronological order. */
  day(website: number, day: number, last: number): readonly UnsealedPart[] {
    const key = `${website} ${day} ${last}`
    if (this.#parts?.key !== key) {
      const parts: UnsealedPart[] = []
      const end = (day + 1) * dayMs
      let from: Position | undefined = { ts: day * dayMs, id: -1 }
      while (from) {
        const start: Position = from
        const { batches, end: next } = this.#read(website, last, start, { ts: end, id: -1 })
        const partKey = `${key} ${start.ts} ${start.id}`
        this.#part = { key: partKey, batches }
        parts.push({
          batches: batches.map(({ name, kind, crawler }) => ({ name, kind, crawler })),
          open: (id) => {
            if (this.#part?.key !== partKey) {
              this.#part = undefined
              const { batches } = this.#read(website, last, start, next ?? { ts: end, id: -1 })
              this.#part = { key: partKey, batches }
            }
            return this.#part.batches.find((batch) => sliceKey(batch) === sliceKey(id))
          },
        })
        from = next
      }
      this.#parts = { key, parts }
    }
    return this.#parts.parts
  }

  /**
   * Reads as many of the rows after `from` and up to `to` as fit into one part. `end`: position of the last row read if
   * there may be more rows.
   */
  #read(
    website: number,
    last: number,
    from: Position,
    to: Position,
  ): { batches: MemoryBatch[]; end: Position | undefined } {
    const builder = new ColumnBuilder(this.rows, this.limits.partBytes)
    let end: Position | undefined
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

  /**
   * True if the rows would use so much memory once they are parsed that they should be sealed even if there are only a
   * few of them.
   */
  get isHeavy(): boolean {
    return this.#isTooLarge || this.#parsedBytes + this.#builder.bytes > this.limits.bytes * heavyShare
  }

  /** True if each query must build the columns of the rows again, or may have to once more rows arrive. */
  get areRebuilt(): boolean {
    return this.#isTooLarge || this.#bytes > this.limits.bytes * heavyShare
  }

  #batchesOf(builder: ColumnBuilder): MemoryBatch[] {
    this.built += builder.bytes
    return [...builder.finish((kind, texts) => this.assignDictionaryIds(kind, texts))].map(
      (columns) => new MemoryBatch(columns),
    )
  }

  /**
   * Returns the dictionary id of each text. Assigns new dictionary ids to unknown texts. Throws
   * UnsealedIdsTooLargeError.
   */
  assignDictionaryIds(kind: IdKind, texts: readonly string[]): Uint32Array {
    const ids = this.dictionaryIdsOf(kind, texts)
    const newIds = this.#newIds[kind]
    for (let index = 0; index < texts.length; index++) {
      if (ids[index] !== 0) continue
      const text = texts[index] as string
      this.#idBytes += idBytes + text.length
      if (this.#idBytes > this.limits.idBytes) throw new UnsealedIdsTooLargeError()
      ids[index] = this.#next[kind]++
      newIds.set(text, ids[index] as number)
    }
    return ids
  }

  /** Returns the unsealed ids in the rows that have been read, with their dictionary ids. */
  newIds(kind: IdKind): Iterable<[text: string, id: number]> {
    return this.#newIds[kind]
  }

  /** True if a dictionary id stands for a text. */
  isIdOf(kind: IdKind, id: number, text: string): boolean {
    if (id >= this.#initialSizes[kind]) return this.#newIds[kind].get(text) === id
    return this.dictionary.isIdOf(kind, id, text)
  }

  /** Returns one more than the highest dictionary id that blocks use. */
  sealedSize(kind: IdKind): number {
    return this.#initialSizes[kind]
  }

  /** Returns the dictionary id of each text, or 0 if no event that has been read has the text as its id. */
  dictionaryIdsOf(kind: IdKind, texts: readonly string[]): Uint32Array {
    const newIds = this.#newIds[kind]
    const { ids } = this.dictionary.find(kind, texts)
    for (let index = 0; index < texts.length; index++) {
      const id = ids[index] as number
      if (id === 0 || id >= this.#initialSizes[kind]) ids[index] = newIds.get(texts[index] as string) ?? 0
    }
    return ids
  }
}
