import type { Batch, RowLocator, Value } from "../../columns/batch.ts"
import type { Dimension } from "../fields.ts"
import { textOf } from "../json-values.ts"
import { columnOf, kindOf } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import type { ReportSource } from "./step.ts"

/** Number of IDs whose texts are looked up per step. A step takes about 20 ms. */
const idsPerStep = 16_384
/**
 * All codes are below this number, because more codes would not fit in memory. It is small enough that two codes can be
 * combined into one exact number.
 */
const maxCodes = 2 ** 26
/** Overhead per value in bytes, not counting its characters. */
const valueBytes = 120

/** Maps the values of a dimension to codes that are the same in all batches. The code 0 stands for a missing value. */
export class DimensionCodes {
  readonly texts: (string | null)[] = [null]
  readonly #codes = new Map<string | number, number>()
  readonly #locators: RowLocator[] = []
  /** The results of `#ownCodesOf`. Keyed by the array of a block's values, which all slices of the block share. */
  readonly #ownCodes = new WeakMap<readonly Value[], Uint32Array>()

  constructor(
    private readonly dimension: Dimension,
    private readonly source: ReportSource,
    private readonly budget: MemoryBudget,
  ) {}

  codesOf(batch: Batch): Uint32Array {
    const codes = new Uint32Array(batch.count)
    const { dimension, source } = this
    if (dimension === "event_name") return codes.fill(this.#codeOf(batch.name))
    if (dimension === "kind") return codes.fill(this.#codeOf(batch.kind))
    if (dimension === "website_id") return codes.fill(this.#codeOf(source.websiteId(batch.website) ?? null))
    const kind = kindOf[dimension]
    if (kind) return this.#idCodes(codes, batch, batch[kind]())
    const column = columnOf(batch, dimension)
    if (!column) return codes
    const ownCodes = this.#ownCodesOf(column.values)
    for (let index = 0; index < codes.length; index++) {
      const code = column.codes[index] as number
      if (code === 0) continue
      if (ownCodes[code] === 0) ownCodes[code] = this.#codeOf(textOf(column.values[code - 1] as Value))
      codes[index] = ownCodes[code] as number
    }
    return codes
  }

  /**
   * Returns a table that maps the codes of a block to the codes of this object. It contains 0 for a code that has not
   * occurred yet.
   */
  #ownCodesOf(values: readonly Value[]): Uint32Array {
    let ownCodes = this.#ownCodes.get(values)
    if (!ownCodes) {
      ownCodes = new Uint32Array(values.length + 1)
      this.#ownCodes.set(values, ownCodes)
    }
    return ownCodes
  }

  #codeOf(text: string | null): number {
    if (text === null) return 0
    const known = this.#codes.get(text)
    return known ?? this.#add(text, text)
  }

  #add(key: string | number, text: string | null): number {
    this.budget.reserve(valueBytes + (text ?? "").length * 2)
    const code = this.texts.push(text) - 1
    this.#codes.set(key, code)
    return code
  }

  #idCodes(codes: Uint32Array, batch: Batch, dictionaryIds: Uint32Array): Uint32Array {
    const { website, name, base } = batch
    const times = batch.times()
    for (let index = 0; index < codes.length; index++) {
      const id = dictionaryIds[index] as number
      if (id === 0) continue
      const known = this.#codes.get(id)
      if (known === undefined)
        this.#locators.push({ dictionaryId: id, website, name, ts: base + (times[index] as number) })
      codes[index] = known ?? this.#add(id, null)
    }
    return codes
  }

  /** Looks up the texts of IDs. Before that, `texts` contains null for each ID. */
  *lookUp(): Generator<void, void> {
    const kind = kindOf[this.dimension]
    if (!kind) return
    for (let at = 0; at < this.#locators.length; at += idsPerStep) {
      const texts = yield* this.source.texts(kind, this.#locators.slice(at, at + idsPerStep))
      for (const [id, text] of texts) this.texts[this.#codes.get(id) as number] = text
      yield
    }
  }
}

/** Assigns a code to each pair of codes. The pair of 0 and 0 has the code 0. */
class PairCodes {
  readonly pairs: [left: number, right: number][] = [[0, 0]]
  /** Keyed by `left * maxCodes + right`. */
  readonly #codes = new Map([[0, 0]])

  constructor(private readonly budget: MemoryBudget) {}

  of(lefts: Uint32Array, rights: Uint32Array): Uint32Array {
    const codes = new Uint32Array(lefts.length)
    let [lastKey, code] = [0, 0]
    for (let index = 0; index < codes.length; index++) {
      const [left, right] = [lefts[index] as number, rights[index] as number]
      const key = left * maxCodes + right
      if (key !== lastKey) {
        code = this.#codes.get(key) ?? this.#add(key, left, right)
        lastKey = key
      }
      codes[index] = code
    }
    return codes
  }

  #add(key: number, left: number, right: number): number {
    this.budget.reserve(valueBytes)
    const code = this.pairs.push([left, right]) - 1
    this.#codes.set(key, code)
    return code
  }
}

/**
 * Maps combinations of values of several dimensions to codes that are the same in all batches. 0 means that all values
 * are missing.
 */
export class GroupCodes {
  readonly #parts: readonly DimensionCodes[]
  /** The first entry combines the first two parts. Each later entry combines the previous result with the next part. */
  readonly #pairs: readonly PairCodes[]
  /** The last batch and its codes, because a report can request the codes of the same batch twice in a row. */
  #last: { batch: Batch; codes: Uint32Array } | undefined

  constructor(dimensions: readonly Dimension[], source: ReportSource, budget: MemoryBudget) {
    this.#parts = dimensions.map((dimension) => new DimensionCodes(dimension, source, budget))
    this.#pairs = dimensions.slice(1).map(() => new PairCodes(budget))
  }

  codesOf(batch: Batch): Uint32Array {
    if (this.#last?.batch === batch) return this.#last.codes
    const [first, ...others] = this.#parts.map((part) => part.codesOf(batch))
    const codes = others.reduce(
      (left, right, index) => (this.#pairs[index] as PairCodes).of(left, right),
      first ?? new Uint32Array(batch.count),
    )
    this.#last = { batch, codes }
    return codes
  }

  /** Looks up the texts of IDs. Before that, `valuesOf` returns null for IDs. */
  *lookUp(): Generator<void, void> {
    for (const part of this.#parts) yield* part.lookUp()
  }

  /** Returns the values of a code. */
  valuesOf(code: number): (string | null)[] {
    const codes: number[] = []
    let left = code
    for (const { pairs } of this.#pairs.toReversed()) {
      const pair = pairs[left] as [number, number]
      codes.unshift(pair[1])
      left = pair[0]
    }
    return this.#parts.map(({ texts }, index) => texts[[left, ...codes][index] as number] ?? null)
  }
}
