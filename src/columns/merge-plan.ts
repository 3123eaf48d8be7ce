import type { BlockRow } from "./block.ts"
import { buildMemory } from "./column-builder.ts"

/** Maximum number of events in a merged block. The codes of a column then take up at most 2 MB. */
const maxEvents = 524_288
/**
 * A block is merged with later blocks only if the later blocks together hold at least a quarter as many events, so that
 * each event is rewritten only a few times.
 */
const mergeFactor = 4
/** Minimum number of consecutive blocks to merge, for the current day and for a past day. */
export const minPartsCurrentDay = 4
export const minPartsPastDay = 2
/**
 * The minimum for past days while events arrive quickly, because each sealing pass then adds a small block of late
 * events to many days.
 */
export const minPartsWhenBusy = 8

/** The facts about a block that decide whether it is merged. */
export interface Part extends Pick<BlockRow, "id" | "website" | "day" | "events" | "stale" | "bytes"> {
  /**
   * 1 if all events in the block have the same name. Within a day, the row ids of such blocks can overlap, so either
   * all of them are merged or none.
   */
  hasSingleName: 0 | 1
}

/**
 * Chooses which blocks to merge. `parts`: the blocks of one website and day, in order of arrival. If there are several
 * blocks with a single name, they fit into one block, and none of them is stale, returns all of them. Otherwise,
 * returns the newest sequence of at least `minimum` consecutive blocks that fit into one block and are not stale, and
 * in which each block has at most four times as many events as all later blocks in the sequence together. Returns an
 * empty list if there is no such sequence.
 */
export function partsToMerge(parts: readonly Part[], minimum: number): readonly Part[] {
  const singleName = parts.filter(({ hasSingleName }) => hasSingleName === 1)
  if (singleName.length > 1 && fitsOneBlock(singleName) && singleName.every(({ stale }) => stale === 0))
    return singleName
  const rest = parts.slice(singleName.length > 1 ? singleName.length : 0)
  for (let end = rest.length; end >= 2; end--) {
    let start = end
    let events = 0
    for (let part = rest[start - 1]; part && part.stale === 0; part = rest[start - 1]) {
      const isLarger = start < end && part.events > mergeFactor * events
      if (isLarger || !fitsOneBlock(rest.slice(start - 1, end))) break
      events += part.events
      start--
    }
    if (end - start >= minimum) return rest.slice(start, end)
  }
  return []
}

function fitsOneBlock(parts: readonly Part[]): boolean {
  const [events, bytes] = parts.reduce(
    ([events, bytes], part) => [events + part.events, bytes + part.bytes],
    [0, 0],
  )
  return events <= maxEvents && bytes <= buildMemory
}
