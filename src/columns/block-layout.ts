import { endOfString } from "../json-text.ts"
import type { BlockRow, Slice } from "./block.ts"
import type { ColumnLocation, Layout, ListedKey } from "./block-format.ts"
import { SingleNumberLists } from "./single-number-lists.ts"

/** The layout of a block, and a map of its properties by key. */
export interface OpenLayout extends Layout {
  byKey: ReadonlyMap<string, OpenProperty>
}

/** For up to this number of slices, searching a list is faster than using a map, and needs less memory. */
const fewSlices = 16

/**
 * A property in a block. A block can have 100,000 properties, so each property holds lists, and builds maps only on
 * demand.
 */
export class OpenProperty {
  #indexes: Map<number, number> | undefined
  #firsts: number[] | undefined

  constructor(
    private readonly slices: readonly Slice[],
    private readonly listed: ListedKey,
    readonly location: ColumnLocation | null,
  ) {}

  /** Returns the number of events in a slice that have a value. Undefined if the slice does not have the key. */
  eventsOf(slice: number): number | undefined {
    return this.listed[2][this.#indexOf(slice)]
  }

  /** Returns the position of a slice's first code in the column. Undefined if the slice does not have the key. */
  firstOf(slice: number): number | undefined {
    return this.#allFirsts()[this.#indexOf(slice)]
  }

  /** Number of codes in the column. */
  get count(): number {
    return this.listed[1].reduce((sum, slice) => sum + (this.slices[slice] as Slice).events, 0)
  }

  #indexOf(slice: number): number {
    const [, slicesWithKey] = this.listed
    if (slicesWithKey.length <= fewSlices) return slicesWithKey.indexOf(slice)
    this.#indexes ??= new Map(slicesWithKey.map((slice, index) => [slice, index]))
    return this.#indexes.get(slice) ?? -1
  }

  #allFirsts(): number[] {
    if (!this.#firsts) {
      let next = 0
      this.#firsts = this.listed[1].map((slice) => {
        const first = next
        next += (this.slices[slice] as Slice).events
        return first
      })
    }
    return this.#firsts
  }
}

/** The layout of a block with a single name. Earlier versions, which had no slices, stored such blocks. */
interface SingleNameLayout extends Omit<Layout, "properties" | "withProperties"> {
  properties: [key: string, events: number, location: ColumnLocation | null][]
  withProperties: number
}

/** A property that is not in the layout of such a block. */
type SingleNameRest = [key: string, events: number, none?: undefined]

// The functions below parse JSON that was stored by `block-writer.ts`, in this version or an earlier one.

export function openLayout({ slices, hasSingleName }: BlockRow, text: string): OpenLayout {
  const parsed = JSON.parse(text) as Layout | SingleNameLayout
  const layout: Layout = hasSingleName ? withSlice(parsed as SingleNameLayout) : (parsed as Layout)
  const byKey = layout.properties.map(([key, slicesWithKey, events, location]): [string, OpenProperty] => [
    key,
    new OpenProperty(slices, [key, slicesWithKey, events], location),
  ])
  return { ...layout, byKey: new Map(byKey) }
}

function withSlice({ properties, withProperties, ...layout }: SingleNameLayout): Layout {
  return {
    ...layout,
    properties: properties.map(([key, events, location]) => [key, [0], [events], location]),
    withProperties: [withProperties],
  }
}

/** Parses the list of the properties that are not in the layout (`Layout.rest`). Their values are only in the rows. */
export function openRest({ slices }: BlockRow, text: string): ReadonlyMap<string, OpenProperty> {
  const lists = new SingleNumberLists()
  const shared = (list: readonly number[]) => (list.length === 1 ? lists.of(list[0] as number) : list)
  const properties = new Map<string, OpenProperty>()
  for (const entry of JSON.parse(text) as (ListedKey | SingleNameRest)[]) {
    const [key, slicesWithKey, events] = listedOf(entry)
    properties.set(key, new OpenProperty(slices, [key, shared(slicesWithKey), shared(events)], null))
  }
  return properties
}

/**
 * Parses only the entry for one key in the list that `openRest` parses, because parsing the whole list can take 100 ms.
 * Returns undefined if the list does not have the key.
 */
export function findInRest({ slices }: BlockRow, text: string, key: string): OpenProperty | undefined {
  const start = `[${JSON.stringify(key)},`
  if (!text.includes(start)) return undefined
  // The match can be inside another key, so entries are skipped one by one. Apart from its key, an entry contains only
  // numbers, brackets and commas.
  for (let at = 1; at < text.length - 1; ) {
    const endOfKey = endOfString(text, at + 1)
    const bracket = text[endOfKey + 2] === "[" ? "]]" : "]"
    const end = text.indexOf(bracket, endOfKey) + bracket.length
    if (text.startsWith(start, at))
      return new OpenProperty(
        slices,
        listedOf(JSON.parse(text.slice(at, end)) as ListedKey | SingleNameRest),
        null,
      )
    at = end + 1
  }
  return undefined
}

function listedOf([key, slicesOrEvents, events]: ListedKey | SingleNameRest): ListedKey {
  return typeof slicesOrEvents === "number"
    ? [key, [0], [slicesOrEvents]]
    : [key, slicesOrEvents, events ?? []]
}
