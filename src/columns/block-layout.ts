import type { BlockRow, Slice } from "./block.ts"
import type { Layout, ListedKey, Place } from "./block-writer.ts"

/** A layout, with its properties by key. */
export interface OpenLayout extends Layout {
  byKey: ReadonlyMap<string, OpenProperty>
}

export interface OpenProperty {
  /** Events with a value, by index of the slices that have the key. */
  events: ReadonlyMap<number, number>
  /** Position of a slice's first code in the column, by index of the slice. */
  firstOf: ReadonlyMap<number, number>
  /** Number of codes in the column. */
  count: number
  place: Place | null
}

/** The layout of a block with a single name, as stored before blocks had slices. */
interface LayoutOfName extends Omit<Layout, "properties" | "withProperties"> {
  properties: [key: string, events: number, place: Place | null][]
  withProperties: number
}

/** A property outside the layout, as stored before blocks had slices. */
type RestOfName = [key: string, events: number, none?: undefined]

// The functions below parse JSON that `block-writer.ts` stored, in this version or an earlier one.

export function openLayout({ slices, isOfName }: BlockRow, text: string): OpenLayout {
  const parsed = JSON.parse(text) as Layout | LayoutOfName
  const layout: Layout = isOfName ? withSlice(parsed as LayoutOfName) : (parsed as Layout)
  const byKey = layout.properties.map(([key, having, events, place]): [string, OpenProperty] => [
    key,
    openProperty(slices, [key, having, events], place),
  ])
  return { ...layout, byKey: new Map(byKey) }
}

function withSlice({ properties, withProperties, ...layout }: LayoutOfName): Layout {
  return {
    ...layout,
    properties: properties.map(([key, events, place]) => [key, [0], [events], place]),
    withProperties: [withProperties],
  }
}

function openProperty(
  slices: readonly Slice[],
  [, having, events]: ListedKey,
  place: Place | null,
): OpenProperty {
  const firstOf = new Map<number, number>()
  let count = 0
  for (const slice of having) {
    firstOf.set(slice, count)
    count += (slices[slice] as Slice).events
  }
  return { events: new Map(having.map((slice, at) => [slice, events[at] as number])), firstOf, count, place }
}

/** Parses the list of the properties outside the layout. Their values are all in the rows. */
export function openRest({ slices }: BlockRow, text: string): ReadonlyMap<string, OpenProperty> {
  const listed = JSON.parse(text) as (ListedKey | RestOfName)[]
  return new Map(
    listed.map(([key, having, events]) => [
      key,
      openProperty(
        slices,
        typeof having === "number" ? [key, [0], [having]] : [key, having, events ?? []],
        null,
      ),
    ]),
  )
}
