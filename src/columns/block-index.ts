import type { Db, Statement } from "../store/db/driver.ts"
import { type BlockRow, blockColumns } from "./block-reader.ts"

/** Blocks of a website, and websites, whose list is kept: some 300 bytes a block. */
const blocksKept = 40_000
const websitesKept = 100

const sql = {
  blocks: `
    select ${blockColumns}
    from blocks
    where website_rid = :website
    order by day, name, crawler, after_id`,
  /** What changes whenever a block comes, goes or becomes stale. */
  state: `
    select (select coalesce(max(id), 0) from blocks) || ' ' ||
      (select count(*) || ' ' || coalesce(sum(id), 0) from blocks where stale > 0 or website_rid < 0) || ' ' || id from sealed`,
}

/** Blocks of a website and a day (since 1970-01-01), by name, people before crawlers, and receipt. */
export interface DayOfBlocks {
  day: number
  blocks: BlockRow[]
  /** Those of which events were deleted: they have to be read from rows. */
  stale: BlockRow[]
  /** The same only as long as `blocks` are: ids of blocks grow, and none is given twice. */
  state: string
}

/** Which blocks there are; kept until one changes, for to read that takes longer than to answer many a question. */
export class BlockIndex {
  readonly #blocks: Statement
  readonly #state: Statement
  readonly #websites = new Map<number, DayOfBlocks[]>()
  #known = ""

  constructor(db: Db) {
    this.#blocks = db.prepare(sql.blocks)
    this.#state = db.prepare(sql.state).pluck()
  }

  /** In the order of days. */
  daysOf(website: number): readonly DayOfBlocks[] {
    const state = this.#state.get() as string
    if (state !== this.#known || this.#websites.size > websitesKept) {
      this.#websites.clear()
      this.#known = state
    }
    const known = this.#websites.get(website)
    if (known) return known
    const blocks = this.#blocks.all({ website }) as BlockRow[]
    const days = [...Map.groupBy(blocks, ({ day }) => day)].map(([day, ofDay]) => dayOf(day, ofDay))
    if (blocks.length <= blocksKept) this.#websites.set(website, days)
    return days
  }
}

function dayOf(day: number, all: BlockRow[]): DayOfBlocks {
  const stale = all.filter((block) => block.stale > 0)
  const blocks = stale.length > 0 ? all.filter((block) => block.stale === 0) : all
  const newest = blocks.reduce((highest, { id }) => Math.max(highest, id), 0)
  return { day, blocks, stale, state: `${blocks.length}.${newest}` }
}
