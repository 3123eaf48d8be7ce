import type { Db, Statement } from "../store/db/driver.ts"
import { type BlockRow, blockColumns, blockOf, type RawBlock, type Slice } from "./block.ts"
import { bySlice } from "./block-format.ts"

/**
 * A website with more than `cachedSlices` slices is not cached. The cache is cleared when it holds more than
 * `cachedWebsites` websites. A slice uses about 300 bytes of memory.
 */
const cachedSlices = 40_000
const cachedWebsites = 100

const sql = {
  blocks: `select ${blockColumns} from blocks where website_rid = :website order by day, after_id`,
  /** Returns a string that changes whenever a block is added, removed or marked stale. */
  state: `
    select (select coalesce(max(id), 0) from blocks) || ' ' ||
      (select count(*) || ' ' || coalesce(sum(id), 0) from blocks where stale > 0 or website_rid < 0) || ' ' || id from sealed`,
}

/** The blocks of one website and one UTC day. */
export interface BlockDay {
  /** Days since 1970-01-01. */
  day: number
  /** Sorted by name, then people before crawlers, then by kind, then by order of arrival. */
  slices: Slice[]
  /** Blocks with events that were deleted or changed. The events of these blocks are read from the rows. */
  stale: BlockRow[]
  /** Changes whenever the blocks of the day change, because block ids only increase and are never reused. */
  state: string
}

/** Lists blocks. The list is cached until a block changes, because reading it takes longer than most queries. */
export class BlockIndex {
  readonly #blocks: Statement
  readonly #state: Statement
  readonly #websites = new Map<number, BlockDay[]>()
  #cachedState = ""

  constructor(db: Db) {
    this.#blocks = db.prepare(sql.blocks)
    this.#state = db.prepare(sql.state).pluck()
  }

  /** Returns the days of a website that have blocks, ascending. */
  daysOf(website: number): readonly BlockDay[] {
    const state = this.#state.get() as string
    if (state !== this.#cachedState || this.#websites.size > cachedWebsites) {
      this.#websites.clear()
      this.#cachedState = state
    }
    const cached = this.#websites.get(website)
    if (cached) return cached
    const blocks = (this.#blocks.all({ website }) as RawBlock[]).map(blockOf)
    const days = [...Map.groupBy(blocks, ({ day }) => day)].map(([day, blocks]) => dayOf(day, blocks))
    const slices = days.reduce((sum, { slices }) => sum + slices.length, 0)
    if (slices <= cachedSlices) this.#websites.set(website, days)
    return days
  }
}

function dayOf(day: number, all: BlockRow[]): BlockDay {
  const stale = all.filter((block) => block.stale > 0)
  const blocks = stale.length > 0 ? all.filter((block) => block.stale === 0) : all
  const newest = blocks.reduce((highest, { id }) => Math.max(highest, id), 0)
  const slices = blocks.flatMap((block) => [...block.slices])
  if (blocks.length > 1)
    slices.sort((left, right) => bySlice(left, right) || left.block.afterId - right.block.afterId)
  return { day, slices, stale, state: `${blocks.length}.${newest}` }
}
