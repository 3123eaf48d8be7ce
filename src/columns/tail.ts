import { dayMs, type Kind, type Numbers } from "./batch.ts"
import { Builder, MemoryBatch } from "./builder.ts"
import type { Identities } from "./identities.ts"
import type { Row, Rows } from "./rows.ts"

/** Rows in one step of reading the unsealed ones: some 30 ms. */
const rowsPerStep = 8_192

/** Up to which row there are blocks. */
export interface Sealed {
  /** Events up to this id are in blocks. */
  id: number
  /** Counts deletions of later ones. */
  deleted: number
  /** Highest id of all. */
  last: number
}

/** The unsealed rows as batches, and the numbers of ids that no block has named yet. */
export class Tail {
  batches: MemoryBatch[] = []
  #readTo: number
  /** Rows that were read and are in no batch yet. */
  #builder: Builder
  #day: { key: string; batches: MemoryBatch[] } | undefined
  readonly #next: Numbers
  /** Numbers from these on that are in the database were given to others since: here they stand for fresh ids. */
  readonly #own: Numbers
  readonly #fresh: Record<Kind, Map<string, number>> = {
    visitors: new Map(),
    sessions: new Map(),
    profiles: new Map(),
  }

  constructor(
    private readonly rows: Rows,
    private readonly identities: Identities,
    private readonly sealed: Sealed,
  ) {
    this.#readTo = sealed.id
    this.#builder = new Builder(rows)
    this.#own = identities.numbers()
    this.#next = { ...this.#own }
  }

  /** False when rows have been sealed or deleted since, so that it must be read anew. */
  fits(now: Sealed): boolean {
    return now.id === this.sealed.id && now.deleted === this.sealed.deleted
  }

  numbers(): Numbers {
    return { ...this.#next }
  }

  /** Several questions may do so by turns: each goes on where another is. */
  *readTo(last: number): Generator<void, void> {
    while (this.#readTo < last) {
      const to = Math.min(this.#readTo + rowsPerStep, last)
      this.#builder.add(this.rows.byId(this.#readTo, to))
      this.#readTo = to
      if (this.#builder.count >= rowsPerStep * 8) this.#flush()
      yield
    }
    if (this.#builder.count > 0) this.#flush()
  }

  #flush(): void {
    this.batches.push(...this.#batchesOf(this.#builder))
    this.#builder = new Builder(this.rows)
  }

  /** The one of the last question for a day is kept: one asks for it hour by hour. */
  day(website: number, day: number, last: number): MemoryBatch[] {
    const key = `${website} ${day} ${last}`
    if (this.#day?.key !== key) {
      const rows: Row[] = this.rows.byTime(website, day * dayMs, (day + 1) * dayMs, this.sealed.id, last)
      const builder = new Builder(this.rows)
      builder.add(rows)
      this.#day = { key, batches: this.#batchesOf(builder) }
    }
    return this.#day.batches
  }

  #batchesOf(builder: Builder): MemoryBatch[] {
    return builder
      .finish((kind, texts) => this.numbersOf(kind, texts))
      .map((columns) => new MemoryBatch(columns))
  }

  /** Ids that have no number get one. */
  numbersOf(kind: Kind, texts: readonly string[]): Uint32Array {
    const numbers = this.known(kind, texts)
    const fresh = this.#fresh[kind]
    for (let index = 0; index < texts.length; index++) {
      if (numbers[index] !== 0) continue
      numbers[index] = this.#next[kind]++
      fresh.set(texts[index] as string, numbers[index] as number)
    }
    return numbers
  }

  /** 0 for ids that no event has. */
  known(kind: Kind, texts: readonly string[]): Uint32Array {
    const fresh = this.#fresh[kind]
    const { numbers } = this.identities.find(kind, texts)
    for (let index = 0; index < texts.length; index++) {
      const number = numbers[index] as number
      if (number === 0 || number >= this.#own[kind]) numbers[index] = fresh.get(texts[index] as string) ?? 0
    }
    return numbers
  }
}
