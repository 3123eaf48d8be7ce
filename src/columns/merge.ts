import { type Batch, type Column, dayMs, textFields } from "./batch.ts"
import { appendColumn, characterBytes, ValueColumn, ValueDictionary } from "./column.ts"
import { type Columns, keyBytes, propertiesIn, rowBytes, setBytes } from "./memory-batch.ts"
import { orderOf, ranksOf } from "./time-order.ts"

/** Dictionaries of a merged block, by column: its slices share them, so that each value of a part is looked up once. */
export class MergedValues {
  readonly #dictionaries = new Map<string, ValueDictionary>()

  of(column: string): ValueDictionary {
    let dictionary = this.#dictionaries.get(column)
    if (!dictionary) {
      dictionary = new ValueDictionary()
      this.#dictionaries.set(column, dictionary)
    }
    return dictionary
  }
}

/**
 * Merges batches of one website, day, name and kind into one set of columns. `parts` are in order of receipt, and
 * no two overlap. `values`: those of the merged block.
 */
export function merge(parts: readonly Batch[], values = new MergedValues()): Columns {
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
    const dictionary = values.of(name)
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
  const keys = new Set(parts.flatMap((part) => [...part.keys().keys()]))
  const properties = propertiesIn(
    new Map([...keys].map((key) => [key, column(`property.${key}`, (part) => part.property(key))])),
  )
  const merged = {
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
    propertied: new Uint8Array(sorted(gather((part) => part.propertied()))),
  }
  for (const key of keys) bytes += keyBytes + key.length * characterBytes
  return { ...merged, bytes }
}
