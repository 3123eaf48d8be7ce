import type { Batch } from "../../columns/batch.ts"
import type { BlockRow } from "../../columns/block.ts"
import type { Day, Entry } from "../../columns/snapshot.ts"

/** A block with at least this many events is large. */
const largeEvents = 65_536
/**
 * A smaller block is also large if it has at least this share of the events in all blocks up to and including itself.
 */
const largeShare = 1 / 8
/**
 * Maximum ratio of the events in small blocks to the events in large blocks, for one day and website. If it is
 * exceeded, all of these blocks count as large.
 */
const maxSmallShare = 1 / 4

/**
 * Returns the day with only its large blocks, and with the events of the small blocks after them among the unsealed
 * events. A day that receives events gets a small block every minute or more often. If the cached counts of the day
 * included these blocks, each new block would cause the whole day to be counted again.
 */
export function withLargeBlocks(day: Day): Day {
  const entries = day.sealed()
  if (entries.length === 0) return day
  const small = smallBlocks(entries)
  const large = small.size === 0 ? entries : entries.filter(({ slice }) => !small.has(slice?.block.id ?? 0))
  let opened: Entry[] | undefined
  return {
    day: day.day,
    // Unlike the state of the whole day, this state stays the same when a small block is added.
    state: `large ${[...new Set(large.map(({ slice }) => slice?.block.id))].sort().join()} `,
    exceedsMemory: day.exceedsMemory,
    sealed: () => large,
    inRows: () => {
      opened ??= entries.flatMap((entry) => {
        const batch = small.has(entry.slice?.block.id ?? 0) ? entry.open() : undefined
        return batch ? openedEntry(entry, batch) : []
      })
      return [...opened, ...day.inRows()]
    },
  }
}

/** Returns an entry whose batch is in memory. */
export function openedEntry(entry: Entry, batch: Batch): Entry & { batch: Batch } {
  return { ...entry, slice: undefined, batch, open: () => batch }
}

/** Returns the IDs of the small blocks. */
function smallBlocks(entries: readonly Entry[]): ReadonlySet<number> {
  const blocks = new Set(entries.flatMap(({ slice }) => slice?.block ?? []))
  const small = new Set<number>()
  for (const websiteBlocks of Map.groupBy(blocks, ({ website }) => website).values())
    for (const { id } of smallBlocksOf(websiteBlocks)) small.add(id)
  return small
}

function smallBlocksOf(blocks: readonly BlockRow[]): readonly BlockRow[] {
  // Blocks in which all events have the same name can overlap, so they have no order. Only earlier versions wrote such
  // blocks.
  if (blocks.some(({ hasSingleName }) => hasSingleName)) return []
  const inOrder = blocks.toSorted((left, right) => left.afterId - right.afterId)
  let [events, eventsInLarge, large] = [0, 0, 0]
  for (const [index, block] of inOrder.entries()) {
    events += block.events
    if (block.events < Math.min(largeEvents, events * largeShare)) continue
    eventsInLarge = events
    large = index + 1
  }
  return events - eventsInLarge > eventsInLarge * maxSmallShare ? [] : inOrder.slice(large)
}
