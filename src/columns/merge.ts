import { withoutSteps } from "../steps.ts"
import { type Batch, type Column, dayMs, textFields } from "./batch.ts"
import {
  appendColumn,
  characterBytes,
  entryBytes,
  ValueColumn,
  ValueDictionaries,
  valueBytes,
} from "./column.ts"
import { type Columns, keyBytes, type PropertyColumns, rowBytes, setBytes } from "./memory-batch.ts"
import { orderOf, ranksOf } from "./time-order.ts"

/** Number of property columns to merge in one step, which takes a few ms. */
const columnsPerStep = 64

/**
 * Merges batches with the same website, day, name and kind into one set of columns. `parts`: the batches, in order of
 * arrival. Their row ids do not overlap. `dictionaries`: the value dictionaries of the merged block, which its slices
 * share. The result's `bytes` includes the properties only after `columnsOf` has built them.
 */
export function merge(parts: readonly Batch[], dictionaries = new ValueDictionaries()): Columns {
  const [first] = parts as [Batch]
  const count = parts.reduce((sum, part) => sum + part.count, 0)
  const gather = (of: (part: Batch) => Uint32Array | Uint8Array) => {
    const all = new Uint32Array(count)
    let at = 0
    for (const part of parts) {
      all.set(of(part), at)
      at += part.count
    }
    return all
  }
  const times = gather((part) => part.times())
  const order = orderOf(times, count)
  const sorted = (all: Uint32Array) =>
    order ? all.map((_, index) => all[order[index] as number] as number) : all
  const ranks = order && ranksOf(order)
  let bytes = setBytes + count * rowBytes
  const column = (name: string, of: (part: Batch) => Column | undefined): Column => {
    const dictionary = dictionaries.of(name)
    const before = dictionary.bytes
    const builder = new ValueColumn(dictionary)
    let at = 0
    for (const part of parts) {
      const from = of(part)
      if (from) appendColumn(builder, at, from)
      at += part.count
    }
    bytes += builder.bytes + dictionary.bytes - before
    return builder.finish(count, ranks)
  }
  const counts = new Map<string, number>()
  for (const part of parts)
    for (const [key, events] of part.keys()) counts.set(key, (counts.get(key) ?? 0) + events)
  // Called only for keys that get a column, because the values of the other keys might have to be read from rows.
  const columnOf = (key: string) =>
    counts.has(key) ? column(`property.${key}`, (part) => part.property(key)) : undefined
  const properties: PropertyColumns = {
    columnOf,
    counts: () => withoutSteps(counts),
    *columnsOf(keys) {
      const columns = new Map<string, Column>()
      for (const [key, events] of counts) {
        bytes += keyBytes + key.length * characterBytes
        const built = keys.has(key) ? columnOf(key) : undefined
        if (!built) bytes += events * (entryBytes + valueBytes)
        else if (columns.set(key, built).size % columnsPerStep === 0) yield
      }
      return columns
    },
  }
  return {
    website: first.website,
    name: first.name,
    kind: first.kind,
    crawler: first.crawler,
    day: Math.floor(first.base / dayMs),
    count,
    times: sorted(times),
    ids: {
      visitors: sorted(gather((part) => part.visitors())),
      sessions: sorted(gather((part) => part.sessions())),
      profiles: sorted(gather((part) => part.profiles())),
    },
    fields: Object.fromEntries(
      textFields
        .filter((field) => parts.some((part) => part.column(field)))
        .map((field) => [field, column(field, (part) => part.column(field))]),
    ),
    properties: () => properties,
    hasProperties: new Uint8Array(sorted(gather((part) => part.hasProperties()))),
    get bytes() {
      return bytes
    },
  }
}
