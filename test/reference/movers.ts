import type { Dimension } from "../../src/query/fields.ts"
import type { Measure, MoversSummary, Scope } from "../../src/query/query.ts"
import { contextFields } from "../../src/store/contexts.ts"
import { contentOf, isInScope, keysOf, measured, type RawEvent, textOrNull } from "./reference.ts"

// Computes movers in the simplest way: it counts each value of each field separately.

export interface ReferenceMover {
  field: string
  value: string | null
  now: number
  before: number
  /** Not rounded. 0 if the totals are equal. */
  share: number
  expected: number
  isOffset: boolean
}

const fields: Dimension[] = [
  "event_name",
  "kind",
  "namespace",
  "source",
  "path",
  "website_id",
  ...contextFields,
]

export function referenceMovers(
  all: readonly RawEvent[],
  scope: Scope,
  previous: { from: number; to: number },
  measure: Measure,
  limits: { keys: number; values: number },
): { movers: ReferenceMover[]; summary: MoversSummary } {
  const current = all.filter((event) => isInScope(event, scope))
  const earlier = all.filter((event) => isInScope(event, { ...scope, ...previous }))
  const [total, previousTotal] = [measured(current, measure) ?? 0, measured(earlier, measure) ?? 0]
  const frequency = new Map<string, number>()
  for (const key of [...current, ...earlier].flatMap(keysOf))
    frequency.set(key, (frequency.get(key) ?? 0) + 1)
  const keys = [...frequency]
    .sort(([a, one], [b, other]) => other - one || (a < b ? -1 : 1))
    .map(([key]): Dimension => `property.${key}`)
  const summary: MoversSummary = { total, previous_total: previousTotal, checked: [], skipped: [] }
  const movers: ReferenceMover[] = []
  for (const field of keys.slice(limits.keys)) summary.skipped.push({ field, reason: "too_many_properties" })
  for (const field of [...fields, ...keys.slice(0, limits.keys)]) {
    const textIn = (event: RawEvent) => textOrNull(contentOf(event, field))
    const values = new Set([...current, ...earlier].map(textIn))
    if (values.size > limits.values) {
      summary.skipped.push({ field, reason: "too_many_values" })
      continue
    }
    summary.checked.push(field)
    if (values.size < 2) continue
    const counted = [...values].map((value) => {
      const of = (events: RawEvent[]) =>
        measured(
          events.filter((event) => textIn(event) === value),
          measure,
        ) ?? 0
      return { value, now: of(current), before: of(earlier) }
    })
    const wholeOf = (size: (one: (typeof counted)[number]) => number) =>
      counted.map(size).reduce((sum, one) => sum + one, 0)
    for (const { value, now, before } of counted) {
      if (now === before) continue
      const isNewOrGone = (one: { now: number; before: number }) => one.now === 0 || one.before === 0
      let opposite = 0
      for (const other of counted)
        if (
          Math.sign(other.now - other.before) === -Math.sign(now - before) &&
          (isNewOrGone({ now, before }) || isNewOrGone(other))
        )
          opposite += Math.abs(other.now - other.before)
      movers.push({
        field,
        value,
        now,
        before,
        share: total === previousTotal ? 0 : (now - before) / (total - previousTotal),
        expected: previousTotal > 0 ? before / previousTotal : total > 0 ? now / total : 0,
        isOffset:
          opposite > 0 &&
          (opposite >= Math.abs(now - before) / 2 ||
            opposite >= wholeOf((other) => (now > before ? other.before : other.now)) / 2),
      })
    }
  }
  const size = ({ now, before }: ReferenceMover) => Math.abs(now - before)
  const rank = (mover: ReferenceMover) =>
    total === previousTotal ? size(mover) : mover.share - mover.expected
  const byText = (a: string | null, b: string | null) =>
    a === null || b === null ? Number(a === null) - Number(b === null) : a < b ? -1 : a > b ? 1 : 0
  movers.sort(
    (a, b) =>
      Number(a.isOffset) - Number(b.isOffset) ||
      rank(b) - rank(a) ||
      size(b) - size(a) ||
      byText(a.field, b.field) ||
      byText(a.value, b.value),
  )
  return { movers, summary }
}
