import { kindAt } from "../event-kinds.ts"
import type { Codes, SliceId } from "./batch.ts"
import { type EncodedBlock, minEventsForQuarters, quartersPerDay } from "./block-format.ts"
import { arrayOf } from "./typed-arrays.ts"

/** A row of the table `blocks`: a block without its columns. */
export interface BlockRow {
  id: number
  /** Rid of the website. Negative if another block has replaced this one. */
  website: number
  /** Days since 1970-01-01. */
  day: number
  /** The block holds events with `afterId` < id <= `lastId`. */
  afterId: number
  lastId: number
  events: number
  /**
   * Number of times that events in the block have been deleted or changed since it was built. If this is not 0, the
   * block is stale.
   */
  stale: number
  /** Estimated memory for building the block's columns from rows, in bytes. */
  bytes: number
  slices: readonly Slice[]
  /**
   * True if an earlier version wrote the block. All events in such a block have the same name, and the ranges of row
   * ids of several such blocks can overlap.
   */
  hasSingleName: boolean
}

/** The events of one name and kind in a block, from crawlers or from people. */
export interface Slice extends SliceId {
  block: BlockRow
  index: number
  /** Position of the slice's first event in the block. */
  first: number
  events: number
  /** Number of events in each of the 96 quarter hours of the day. Null for a slice with few events. */
  quarters: Codes | null
}

/** The columns of the table `blocks` that `blockOf` reads. Earlier versions did not store `bytes`. */
export const blockColumns = `
  id, website_rid as website, day, name, crawler, after_id as afterId, last_id as lastId, events, quarters, stale, slices,
  coalesce(bytes, events * 100) as bytes`

/** A row of `blocks` as SQLite returns it. */
export interface RawBlock extends Omit<BlockRow, "slices" | "hasSingleName"> {
  name: string
  crawler: 0 | 1
  quarters: Uint8Array | null
  slices: string | null
}

export function blockOf({ name, crawler, quarters, slices, ...row }: RawBlock): BlockRow {
  // The JSON is not validated, because `block-writer.ts` wrote it.
  const named: EncodedBlock["slices"] = slices === null ? [[name, crawler, row.events]] : JSON.parse(slices)
  const parts: Slice[] = []
  const block: BlockRow = { ...row, slices: parts, hasSingleName: slices === null }
  const large = named.filter(([, , events]) => events >= minEventsForQuarters).length
  const width = quarters ? quarters.length / quartersPerDay / large : 0
  let [first, counted] = [0, 0]
  for (const [index, [name, crawler, events, kind = 0]] of named.entries()) {
    const hasQuarters = quarters !== null && events >= minEventsForQuarters
    const at = counted * quartersPerDay * width
    parts.push({
      block,
      index,
      name,
      kind: kindAt(kind),
      crawler: crawler === 1,
      first,
      events,
      quarters: hasQuarters ? arrayOf(quarters, at, quartersPerDay, width as 1 | 2 | 4) : null,
    })
    if (hasQuarters) counted++
    first += events
  }
  return block
}
