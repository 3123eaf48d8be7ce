import type { Batch, Value } from "../columns/batch.ts"
import type { EventSource } from "../columns/source.ts"
import { textOf } from "./compare.ts"
import type { Budget } from "./distinct.ts"
import { Matcher, type Selection } from "./filter.ts"
import type { PropertyValues, ValuesAnswer, ValuesQuestion } from "./question.ts"

/** Property keys of each event name, and how often each value is there. */
export function* values(
  question: ValuesQuestion,
  source: EventSource,
  budget: Budget,
): Generator<void, ValuesAnswer> {
  const { scope, keys, top } = question
  const matcher = new Matcher(scope, scope.filters, source)
  const names = new Map<string, NameCounts>()
  for (const batch of source.batches(matcher)) {
    const selection = matcher.select(batch)
    if (selection) {
      let counts = names.get(batch.name)
      if (!counts) {
        counts = new NameCounts(budget)
        names.set(batch.name, counts)
      }
      counts.add(batch, selection, keys)
    }
    yield
  }
  return { properties: [...names].flatMap(([name, counts]) => counts.finish(name, top)) }
}

/** Bytes that a distinct value takes beside its text. */
const valueBytes = 80

class NameCounts {
  events = 0
  readonly #keys = new Map<string, Map<string | number | boolean, number>>()

  constructor(private readonly budget: Budget) {}

  add(batch: Batch, { first, end, mask }: Selection, wanted: readonly string[] | undefined): void {
    for (let index = first; index < end; index++) if (mask?.[index] !== 0) this.events++
    for (const key of new Set(wanted ?? batch.keys().keys())) {
      const column = batch.property(key)
      if (!column) continue
      const counts = new Uint32Array(column.values.length + 1)
      const { codes } = column
      if (mask) {
        for (let index = first; index < end; index++) {
          if (mask[index] === 0) continue
          const code = codes[index] as number
          counts[code] = (counts[code] as number) + 1
        }
      } else {
        for (let index = first; index < end; index++) {
          const code = codes[index] as number
          counts[code] = (counts[code] as number) + 1
        }
      }
      let counted = this.#keys.get(key)
      if (!counted) {
        counted = new Map()
        this.#keys.set(key, counted)
      }
      for (let code = 1; code < counts.length; code++) {
        const times = counts[code] as number
        if (times === 0) continue
        const value = column.values[code - 1] as Value
        // To make text of a number takes longer than to find it.
        const known = typeof value === "object" ? textOf(value) : value
        const before = counted.get(known)
        if (before === undefined) {
          this.budget.take(valueBytes + (typeof known === "string" ? known.length * 2 : 0))
        }
        counted.set(known, (before ?? 0) + times)
      }
    }
  }

  finish(name: string, top: number): PropertyValues[] {
    return [...this.#keys]
      .filter(([, counted]) => counted.size > 0)
      .map(([key, counted]): PropertyValues => {
        // 5 and "5" are the same text.
        const texts = new Map<string, number>()
        for (const [value, times] of counted) {
          const text = String(value)
          texts.set(text, (texts.get(text) ?? 0) + times)
        }
        const found: PropertyValues = {
          name,
          key,
          events: this.events,
          occurrences: 0,
          cardinality: texts.size,
          numeric: 0,
          boolean: 0,
          date: 0,
          url: 0,
          totalLength: 0,
          maxLength: 0,
          top: [],
        }
        for (const [text, times] of texts) {
          found.occurrences += times
          found.totalLength += text.length
          found.maxLength = Math.max(found.maxLength, text.length)
          if (looksNumeric(text)) found.numeric++
          else if (text === "true" || text === "false") found.boolean++
          else if (dateForm.test(text) && !Number.isNaN(Date.parse(text))) found.date++
          else if (urlForm.test(text)) found.url++
        }
        found.top = [...texts]
          .sort(([one, times], [other, otherTimes]) => otherTimes - times || (one < other ? -1 : 1))
          .slice(0, top)
          .map(([text, count]) => ({ text, count }))
        return found
      })
  }
}

/** A calendar date, with or without a time. */
const dateForm = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/
const urlForm = /^https?:\/\/\S+$/i

function looksNumeric(text: string): boolean {
  return text.trim() !== "" && Number.isFinite(Number(text))
}
