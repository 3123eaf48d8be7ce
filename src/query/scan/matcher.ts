import type { Batch, Codes, Column, IdKind, TextField, Value } from "../../columns/batch.ts"
import type { TextTest } from "../../columns/id-search.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import { type BatchField, type Dimension, idKinds, isBatchField } from "../fields.ts"
import { pathSplits, textOf, valueAt } from "../json-values.ts"
import {
  matchesPattern,
  operators,
  positivePredicateOf,
  predicateOf,
  requiredPart,
  requiredTexts,
  type ValuePredicate,
} from "../operators.ts"
import type { Filter, Scope } from "../query.ts"
import { intersect, nonEmpty, type Selection, timeRange } from "../structures/selection.ts"
import { FilterCache, type SealedBlock } from "./filter-cache.ts"

/** The kind of IDs that a field contains. Undefined for fields that do not contain IDs. */
export const kindOf: Readonly<Record<string, IdKind | undefined>> = idKinds

/** Returns the column of a field, or undefined if no event of the batch can have a value. */
export function columnOf(batch: Batch, field: Dimension): Column | undefined {
  if (field === "query_string") return batch.property(field)
  if (!field.startsWith("property.")) return batch.column(field as TextField)
  let found: Column | undefined
  for (const [key, below] of pathSplits(field.slice("property.".length))) {
    const all = batch.property(key)
    const column = all && below !== undefined ? inside(all, below) : all
    if (column) found = found ? either(found, column) : column
  }
  return found
}

/** Returns a column with the values at `path` inside the objects and arrays in a column. */
function inside(column: Column, path: string): Column | undefined {
  const values: Value[] = []
  const codeOf = new Map<string, number>()
  const mapping = [
    0,
    ...column.values.map((value) => {
      const inner = valueAt(value, path)
      if (inner === undefined) return 0
      const key = typeof inner + textOf(inner)
      let code = codeOf.get(key)
      if (code === undefined) {
        code = values.push(inner)
        codeOf.set(key, code)
      }
      return code
    }),
  ]
  if (values.length === 0) return undefined
  return { codes: Uint32Array.from(column.codes, (code) => mapping[code] as number), values }
}

/** Returns a column with the value of each event in the first column or, if it has none there, in the second column. */
function either(first: Column, second: Column): Column {
  const shift = first.values.length
  const secondCodes = second.codes
  const codes = Uint32Array.from(first.codes, (code, index) => {
    if (code !== 0) return code
    const other = secondCodes[index] as number
    return other === 0 ? 0 : other + shift
  })
  return { codes, values: [...first.values, ...second.values] }
}

export interface IdTextTest extends TextTest {
  kind: IdKind
}

/**
 * If a filter must be tested on the text of each ID, returns the test to use. For a negated filter, this is the test of
 * the operator that it negates. Otherwise, returns undefined.
 */
export function idTextTest(filter: Filter): IdTextTest | undefined {
  const kind = kindOf[filter.field]
  const { op, value } = filter
  if (!kind || operators[op].lookup !== "text") return undefined
  const test = positivePredicateOf(filter)
  const key = JSON.stringify([op, value])
  return { kind, key, part: requiredPart(filter), test: (text) => test(text, text) }
}

/** The part of a snapshot that a matcher uses. */
export type Lookup = Pick<
  Snapshot,
  "dictionarySizes" | "dictionaryIdsOf" | "foundIds" | "websiteId" | "cache"
>

/** A batch and its selected events. */
export interface Narrowed {
  batch: Batch
  selection: Selection
}

/** The properties of a batch that batch tests read. */
type BatchHead = Pick<Batch, "name" | "kind" | "website">
/** Returns true if events of a batch can match, without testing each event. */
type BatchTest = (batch: BatchHead) => boolean
/**
 * Returns which events of a batch match: a code for each event and a truth value for each code, or a single truth value
 * for all events. If `only` is set, it is the only code that matches.
 */
type EventTest = (batch: Batch) => { codes: Codes; matches: Uint8Array; only?: number | undefined } | boolean

/** Selects the events of a batch that match a set of filters. */
export class Matcher {
  /** The only event names that can match. Undefined if no filter lists the names that it accepts. */
  readonly names: readonly string[] | undefined
  readonly #batchTests: BatchTest[] = []
  readonly #eventTests: EventTest[] = []
  /** Buffer for the indexes of the matching events in one batch. */
  #indexBuffer = new Uint32Array(0)
  readonly #perEvent: readonly Filter[]
  #filterCache: FilterCache | undefined

  constructor(
    private readonly scope: Pick<Scope, "from" | "to">,
    filters: readonly Filter[],
    private readonly lookup: Lookup,
  ) {
    this.#perEvent = filters.filter(({ field }) => !isBatchField(field))
    for (const filter of filters) this.#add(filter)
    const named = filters.find((filter) => filter.field === "event_name" && requiredTexts(filter))
    this.names = named && requiredTexts(named)
  }

  /**
   * True if filters test individual events. If false, the name, kind and website of an event decide whether it matches.
   */
  get perEvent(): boolean {
    return this.#perEvent.length > 0
  }

  /** Returns false if no event of the batch can match. */
  accepts(batch: BatchHead): boolean {
    return this.#batchTests.every((test) => test(batch))
  }

  /** Like `accepts`, but always true for a joined batch, because its slices were accepted before they were joined. */
  #acceptsBatch(batch: Batch): boolean {
    return batch.names !== undefined || this.accepts(batch)
  }

  /**
   * Returns the matching events, or undefined if no event matches. If `among` is given, tests only the events in that
   * selection. Otherwise, tests the events in the time range of the scope.
   */
  select(batch: Batch, among?: Selection): Selection | undefined {
    if (!this.#acceptsBatch(batch)) return undefined
    const range = among ?? timeRange(batch, this.scope.from, this.scope.to)
    if (!this.perEvent) return nonEmpty(range)
    if (range.at || !this.#isCacheable(batch)) return this.#match(batch, range)
    const matching = this.#selectAll(batch)
    return matching && intersect(matching, range)
  }

  /** Returns the matching events from `from` to `to` (Unix ms, exclusive), in a separate batch if they are sparse. */
  narrow(batch: Batch, from: number, to: number): Narrowed | undefined {
    const sparse = this.#sparse(batch)
    const selection = sparse
      ? nonEmpty(timeRange(sparse, from, to))
      : this.select(batch, timeRange(batch, from, to))
    return selection && { batch: sparse ?? batch, selection }
  }

  #sparse(batch: Batch): Batch | undefined {
    if (!this.#isCacheable(batch) || !this.#acceptsBatch(batch) || !this.#selectAll(batch)) return undefined
    return this.#cachedMatches().sparse(batch)
  }

  /** Returns true if the matching events of the batch can be cached. */
  #isCacheable(batch: Batch): batch is SealedBlock {
    const { memory, minFilteredEvents } = this.lookup.cache
    return this.perEvent && memory > 0 && batch.block !== undefined && batch.count >= minFilteredEvents
  }

  #selectAll(block: SealedBlock): Selection | undefined {
    const all = { first: 0, end: block.count, at: undefined }
    return this.#cachedMatches().selectionOf(block, () => this.#match(block, all))
  }

  /** Returns the matches cached by earlier queries, for the filters that test individual events. */
  #cachedMatches(): FilterCache {
    if (!this.#filterCache) {
      const { cache } = this.lookup
      const key = `filter ${JSON.stringify(this.#perEvent)}`
      const known = cache.find<FilterCache>(key, "")
      const matches: FilterCache = known ?? new FilterCache((bytes) => cache.grow(key, matches, bytes))
      if (!known) cache.put(key, "", matches, { bytes: 0, isSpare: true })
      this.#filterCache = matches
    }
    return this.#filterCache
  }

  #match(batch: Batch, { first, end, at }: Selection): Selection | undefined {
    if (first >= end) return undefined
    if (this.#indexBuffer.length < end - first) this.#indexBuffer = new Uint32Array(end - first)
    const indexes = this.#indexBuffer
    let matching = at
    for (const test of this.#eventTests) {
      const result = test(batch)
      if (result === false) return undefined
      if (result === true) continue
      const { codes, matches, only } = result
      const count = matching
        ? filterIndexes(matching, codes, matches, indexes)
        : only === undefined
          ? findIndexes(first, end, codes, matches, indexes)
          : findIndexesOfCode(first, end, codes, only, matches, indexes)
      if (count === 0) return undefined
      if (matching || count < end - first) matching = indexes.subarray(0, count)
    }
    return { first, end, at: matching === at ? at : matching?.slice() }
  }

  #add(filter: Filter): void {
    const { field } = filter
    const test = predicateOf(filter)
    const kind = kindOf[field]
    if (isBatchField(field)) {
      this.#batchTests.push((batch) => {
        const value = this.#batchValueOf(batch, field)
        return test(value, value)
      })
    } else if (field === "profile") this.#eventTests.push(this.#profileTest(filter))
    else if (kind) this.#eventTests.push(this.#idTest(kind, filter))
    else if (field === "property_key") this.#eventTests.push(keyTest(filter))
    else if (field === "page") {
      this.#batchTests.push(({ kind }) => kind === "page_view")
      const pattern = String(filter.value)
      this.#eventTests.push(columnTest("path", (path) => path !== undefined && matchesPattern(path, pattern)))
    } else this.#eventTests.push(columnTest(field, test))
  }

  #batchValueOf({ name, kind, website }: BatchHead, field: BatchField): string | undefined {
    if (field === "event_name") return name
    return field === "kind" ? kind : this.lookup.websiteId(website)
  }

  /**
   * Matches events with the ID of the profile, and events that have no profile ID but have an anonymous ID that is
   * linked to the profile (see src/store/identity-resolution.ts).
   */
  #profileTest({ value, linked = [] }: Filter): EventTest {
    const [profile = 0] = this.lookup.dictionaryIdsOf("profiles", [String(value)])
    const visitors = new Map(
      linked.map(([website, ids]) => {
        const visitorIds = new Set(this.lookup.dictionaryIdsOf("visitors", ids))
        visitorIds.delete(0)
        return [website, visitorIds]
      }),
    )
    const matches = Uint8Array.from([0, 1])
    return (batch) => {
      const named = batch.profiles()
      const linkedIds = visitors.get(batch.website)
      if (!linkedIds || linkedIds.size === 0) {
        if (profile === 0 || named.indexOf(profile) < 0) return false
      }
      const ids = linkedIds && linkedIds.size > 0 ? batch.visitors() : undefined
      const codes = new Uint8Array(named.length)
      let some = 0
      for (let index = 0; index < named.length; index++) {
        const id = named[index] as number
        const isMatch =
          id === 0 ? ids !== undefined && (linkedIds?.has(ids[index] as number) ?? false) : id === profile
        if (isMatch) some = codes[index] = 1
      }
      return some === 1 && { codes, matches }
    }
  }

  /** Tests dictionary IDs. Batches do not contain the texts of IDs, so the matching IDs are looked up first. */
  #idTest(kind: IdKind, filter: Filter): EventTest {
    const idsOf = (batch: Batch) => batch[kind]()
    const size = this.lookup.dictionarySizes[kind]
    const { lookup, isNegation } = operators[filter.op]
    if (lookup === "presence") {
      const missing = predicateOf(filter)(undefined, undefined)
      const matches = new Uint8Array(size).fill(Number(!missing))
      matches[0] = Number(missing)
      return (batch) => ({ codes: idsOf(batch), matches })
    }
    // The IDs to include or, if the filter is negated, to exclude.
    const textTest = idTextTest(filter)
    const ids = textTest
      ? this.lookup.foundIds(kind, textTest.key)
      : this.lookup.dictionaryIdsOf(kind, [filter.value].flat().map(String))
    const matches = new Uint8Array(size).fill(Number(isNegation))
    let [count, last] = [0, 0]
    for (const id of ids) {
      if (id === 0 || matches[id] !== Number(isNegation)) continue
      matches[id] = Number(!isNegation)
      last = id
      count++
    }
    if (count === 0) return () => isNegation
    return (batch) => {
      const codes = idsOf(batch)
      // Most batches have no event of a given person, and indexOf detects this ten times as fast as a loop.
      if (count === 1 && codes.indexOf(last) < 0) return isNegation
      return { codes, matches, only: count === 1 && !isNegation ? last : undefined }
    }
  }
}

/** Tests the values of a column. */
function columnTest(field: Dimension, test: ValuePredicate): EventTest {
  const missing = test(undefined, undefined)
  // All slices of a block share their values, so each value is tested only once.
  const tables = new WeakMap<readonly Value[], ReturnType<typeof truthTable>>()
  return (batch) => {
    const column = columnOf(batch, field)
    if (!column) return missing
    let table = tables.get(column.values)
    if (table === undefined) {
      table = truthTable([missing, ...column.values.map((value) => test(textOf(value), value))])
      tables.set(column.values, table)
    }
    return typeof table === "boolean" ? table : { codes: column.codes, ...table }
  }
}

/** Returns one truth value per code, or a single value if it is the same for all codes. */
function truthTable(truths: boolean[]): { matches: Uint8Array; only: number | undefined } | boolean {
  if (truths.every(Boolean)) return true
  const only = truths.indexOf(true)
  if (only < 0) return false
  // `Uint8Array.from` would take ten times as long.
  const matches = new Uint8Array(truths.length)
  for (let code = 0; code < truths.length; code++) if (truths[code]) matches[code] = 1
  return {
    matches,
    only: truths.lastIndexOf(true) === only ? only : undefined,
  }
}

/**
 * Tests the property keys of events. An event matches if at least one of its keys matches or, if the filter is negated,
 * if none of its keys matches the operator that the filter negates.
 */
function keyTest(filter: Filter): EventTest {
  const { lookup, isNegation } = operators[filter.op]
  const test = positivePredicateOf(filter)
  return (batch) => {
    if (lookup === "presence") {
      const has = presence(batch, [...batch.keys().keys()])
      return { codes: has, matches: Uint8Array.from([test(undefined, undefined), test("", "")], Number) }
    }
    const matching = [...batch.keys().keys()].filter((key) => test(key, key))
    if (matching.length === 0) return isNegation
    if (matching.some((key) => batch.keys().get(key) === batch.count)) return !isNegation
    return { codes: presence(batch, matching), matches: Uint8Array.from([isNegation, !isNegation], Number) }
  }
}

/** Returns 1 for each event that has a value for one of the keys. */
function presence(batch: Batch, keys: readonly string[]): Uint8Array {
  const has = new Uint8Array(batch.count)
  for (const key of keys) {
    const column = batch.property(key)
    if (column?.few) {
      for (const index of column.few.at) has[index] = 1
      continue
    }
    const codes = column?.codes
    if (codes) for (let index = 0; index < has.length; index++) if (codes[index] !== 0) has[index] = 1
  }
  return has
}

/**
 * If more than one in `eventsPerMatch` events has a given code, testing every event is faster than searching for the
 * code. The share is first estimated after `minMatches` matches.
 */
const eventsPerMatch = 24
const minMatches = 16

// The loops that test every event are branch-free, because a branch could be mispredicted half of the time.

/**
 * Appends the indexes of the matching events after the first `before` indexes, and returns the total number of indexes.
 */
function findIndexes(
  first: number,
  end: number,
  codes: Codes,
  matches: Uint8Array,
  indexes: Uint32Array,
  before = 0,
): number {
  let count = before
  for (let index = first; index < end; index++) {
    indexes[count] = index
    count += matches[codes[index] as number] as number
  }
  return count
}

/** Like `findIndexes`, but for a single code. `indexOf` compares several codes at once, but has a cost per match. */
function findIndexesOfCode(
  first: number,
  end: number,
  codes: Codes,
  code: number,
  matches: Uint8Array,
  indexes: Uint32Array,
): number {
  const inRange = codes.subarray(0, end)
  let count = 0
  for (let index = inRange.indexOf(code, first); index >= 0; index = inRange.indexOf(code, index + 1)) {
    indexes[count++] = index
    if (count > minMatches && count * eventsPerMatch > index - first)
      return findIndexes(index + 1, end, codes, matches, indexes, count)
  }
  return count
}

/** Like `findIndexes`, but only tests the indexes in `among`, which can be the same array as `indexes`. */
function filterIndexes(among: Uint32Array, codes: Codes, matches: Uint8Array, indexes: Uint32Array): number {
  let count = 0
  for (let at = 0; at < among.length; at++) {
    const index = among[at] as number
    indexes[count] = index
    count += matches[codes[index] as number] as number
  }
  return count
}
