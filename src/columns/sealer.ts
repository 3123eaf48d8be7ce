import type { Db } from "../store/db/driver.ts"
import { idKinds, StaleBlockError } from "./batch.ts"
import { BlockReader, type BlockRow, blockColumns, fittingBlocks } from "./block-reader.ts"
import { BlockWriter, type EncodedBlock, encode } from "./block-writer.ts"
import { buildMemory, ColumnBuilder, merge } from "./column-builder.ts"
import { IdDictionary, insertDictionaryIds, type NewDictionaryIds } from "./id-dictionary.ts"
import { RowReader } from "./row-reader.ts"

/** Rows in one pass: some 0.3 s of a processor that nobody waits for, and then a transaction of some 8 ms. */
export const rowsPerPass = 65_536
/** Blocks that are made anew or taken out in one transaction: some 10 ms. */
const blocksAtOnce = 64
/** Blocks of one website, day and name from which they are made one; those of an open day come in many small ones. */
const partsToMerge = 8
/** Events from which a block is large enough to stay as it is, and the bytes of memory to make it. */
const largeBlock = 262_144
const largeBytes = buildMemory / 2

/** Blocks that were made from rows or from other blocks, and what must still be so when they are stored. */
export interface SealedBatch {
  blocks: { block: EncodedBlock; afterId: number; lastId: number }[]
  identities: NewDictionaryIds[]
  /** Rows up to `to` become sealed; nobody sealed or deleted any of them meanwhile. */
  seal?: { from: number; to: number; deleted: number }
  /** These blocks go; each is as it was seen. What `lingers` is only taken out of the website, and goes later. */
  replaces: { id: number; stale: number; lingers: boolean }[]
  /** Stretches of numbers that no block names any more. */
  forgets?: { kind: number; first: number }[]
}

const sql = {
  sealed: "select id, deleted, (select coalesce(max(id), 0) from event_rows) as last from sealed",
  lastOfPass: `
    select max(id) from (select id from event_rows where id > :after order by id limit :limit)`,
  /** Numbers that go count as a deletion: who holds unsealed rows must number their ids anew. */
  seal: `
    update sealed set id = :to, deleted = deleted + (:from = :to) where id = :from and deleted = :deleted`,
  forget: "delete from identities where kind = :kind and first = :first",
  stretches: `
    select kind, first, length(hashes) / 12 as count from identities
    where kind < 10 and first < (select max(first) from identities as other where other.kind = identities.kind)`,
  allBlocks: `
    select ${blockColumns}
    from blocks where website_rid >= 0`,
  /** The empty row that kept an id from being given again; a higher one does that now. */
  dropKeeper: "delete from event_rows where website_rid = -1 and id < :to",
  /** At once, for it touches no column; the blocks themselves go in small steps. */
  reset: `
    update blocks set website_rid = -1 - website_rid where website_rid >= 0;
    update identities set kind = kind + (select max(kind) / 10 * 10 + 10 from identities) where kind < 10;
    update sealed set id = 0, deleted = deleted + 1;`,
  spentIdentities:
    "delete from identities where rowid in (select rowid from identities where kind >= 10 limit 4)",
  dropBlock: "delete from blocks where id = :id and stale = :stale",
  putAside: "update blocks set website_rid = -1 - website_rid where id = :id and stale = :stale",
  stale: `
    select b.id, b.website_rid as website, b.day, b.name, b.crawler, b.after_id as afterId, b.last_id as lastId, b.events,
      b.quarters, b.stale, coalesce(b.bytes, b.events * 100) as bytes, w.rid is null and b.website_rid <> 0 as gone
    from blocks as b left join websites as w on w.rid = b.website_rid and w.deleted_at is null
    where b.stale > 0 or b.website_rid < 0`,
  crowded: `
    select website_rid as website, day, name, crawler from blocks
    where events < :large and coalesce(bytes, events * 100) < :largeBytes and website_rid >= 0
    group by website_rid, day, name, crawler
    having count(*) >= :parts or (count(*) > 1 and day < :today)
    limit :limit`,
  parts: `
    select ${blockColumns}
    from blocks where website_rid = :website and day = :day and name = :name and crawler = :crawler
    order by after_id`,
}

/** Makes blocks. Reads with one connection; what it gives is stored by `store`, with any connection. */
export class Sealer {
  readonly #rows: RowReader
  readonly #blocks: BlockReader

  /** Bytes of memory in which columns were ever made, by the estimate. */
  made = 0
  /** Sets of small blocks none of which are neighbours. */
  readonly #stuck = new Set<string>()
  /** When blocks that were put aside were first seen, by id; ms. */
  readonly #aside = new Map<number, number>()

  /** `patience`: ms, by a clock that is never set, that a block is left to its readers after another took its place. */
  constructor(
    private readonly db: Db,
    private readonly elapsed: () => number = () => 0,
    private readonly patience = 0,
    private readonly identities = new IdDictionary(db),
  ) {
    this.#rows = new RowReader(db)
    this.#blocks = new BlockReader(db, this.#rows, (kind, texts) => this.identities.find(kind, texts).numbers)
  }

  /** Rows that are in no block yet. */
  unsealed(): number {
    const { id, last } = this.#look()
    return last - id
  }

  /** The next rows, as blocks: fewer where they take much memory. Undefined where there are none. Yields while it reads. */
  *pass(limit = rowsPerPass): Generator<void, SealedBatch | undefined> {
    const { id: from, deleted } = this.#look()
    const last = this.db.prepare(sql.lastOfPass).pluck().get({ after: from, limit }) as number | null
    if (last === null) return undefined
    const builder = new ColumnBuilder(this.#rows)
    let to = from
    while (to < last && !builder.isFull) {
      to = builder.addSome(to, last)
      yield
    }
    const identities: NewDictionaryIds[] = []
    const next = this.identities.numbers()
    const columns = builder.finish((kind, texts) => {
      const { numbers, hashes } = this.identities.find(kind, texts)
      const fresh: number[] = []
      const first = next[kind]
      for (let index = 0; index < texts.length; index++) {
        if (numbers[index] !== 0) continue
        numbers[index] = first + fresh.length
        fresh.push(
          hashes[index * 3] as number,
          hashes[index * 3 + 1] as number,
          hashes[index * 3 + 2] as number,
        )
        numbers[index] = first + fresh.length / 3 - 1
      }
      if (fresh.length > 0)
        identities.push({ kind, first, hashes: new Uint8Array(Uint32Array.from(fresh).buffer) })
      return numbers
    })
    const blocks: SealedBatch["blocks"] = []
    for (const one of columns) {
      blocks.push({ block: encode(one), afterId: from, lastId: to })
      yield
    }
    this.made += builder.bytes
    return { blocks, identities, seal: { from, to, deleted }, replaces: [] }
  }

  /**
   * Some blocks of one website and day whose events were deleted, made anew, or those taken out that nobody can be reading any more.
   * Undefined where there are none.
   */
  *renew(limit = blocksAtOnce): Generator<void, SealedBatch | undefined> {
    const spent = (this.db.prepare(sql.stale).all() as (BlockRow & { gone: 0 | 1 })[]).filter(
      ({ id, website, stale }) => website >= 0 || stale > 0 || this.#isRipe(id),
    )
    if (spent.length === 0) return undefined
    const work: SealedBatch = { blocks: [], identities: [], replaces: [] }
    const first = spent[0] as BlockRow
    const ofDay = spent.filter(({ website, day }) => website === first.website && day === first.day)
    const together = fittingBlocks(ofDay.slice(0, limit))
    const anew = yield* this.#blocks.readAnew(together.filter(({ gone }) => !gone))
    for (const row of together) {
      const batch = anew.get(row.id)
      if (batch) {
        work.blocks.push({ block: encode(batch.columns), afterId: row.afterId, lastId: row.lastId })
        this.made += batch.columns.bytes
        yield
      }
      work.replaces.push({ id: row.id, stale: row.stale, lingers: false })
      this.#aside.delete(row.id)
    }
    return work
  }

  #isRipe(id: number): boolean {
    const now = this.elapsed()
    const since = this.#aside.get(id) ?? now
    this.#aside.set(id, since)
    return now - since >= this.patience
  }

  /**
   * Many small blocks of a website's day and name as one, for some of them at once. Undefined where there are none. `today`: days since
   * 1970.
   */
  *merge(today: number): Generator<void, SealedBatch | undefined> {
    const limit = blocksAtOnce + this.#stuck.size
    const crowded = this.db
      .prepare(sql.crowded)
      .all({ large: largeBlock, largeBytes, parts: partsToMerge, today: Math.max(today, 0), limit })
    const work: SealedBatch = { blocks: [], identities: [], replaces: [] }
    let bytes = 0
    for (const group of crowded) {
      const parts = neighbours(this.db.prepare(sql.parts).all(group) as BlockRow[])
      const key = JSON.stringify(group)
      if (parts.length < 2) {
        this.#stuck.add(key)
        continue
      }
      this.#stuck.delete(key)
      bytes += parts.reduce((sum, part) => sum + part.bytes, 0)
      const isTooMuch = bytes > buildMemory || work.replaces.length + parts.length > blocksAtOnce
      if (isTooMuch && work.blocks.length > 0) break
      yield
      try {
        const columns = merge(parts.map((part) => this.#blocks.open(part)))
        const [first, last] = [parts[0] as BlockRow, parts.at(-1) as BlockRow]
        work.blocks.push({ block: encode(columns), afterId: first.afterId, lastId: last.lastId })
        this.made += columns.bytes
        work.replaces.push(...parts.map(({ id, stale }) => ({ id, stale, lingers: true })))
      } catch (error) {
        if (!(error instanceof StaleBlockError)) throw error
      }
    }
    return work.blocks.length > 0 ? work : undefined
  }

  /**
   * Stretches of numbers of which no block names one: the hashes of ids whose events were all deleted. Reads the ids of all events,
   * some 10 ns each. Undefined where there are none, or where blocks are still to be made anew.
   */
  *collect(): Generator<void, SealedBatch | undefined> {
    const { id, deleted } = this.#look()
    const blocks = this.db.prepare(sql.allBlocks).all() as BlockRow[]
    if (blocks.some(({ stale }) => stale > 0)) return undefined
    const range = this.identities.numbers()
    const used = idKinds.map((kind) => new Uint8Array(range[kind]))
    for (const block of blocks) {
      const batch = this.#blocks.open(block)
      idKinds.forEach((kind, index) => {
        const seen = used[index] as Uint8Array
        for (const number of batch[kind]()) seen[number] = 1
      })
      yield
    }
    const stretches = this.db.prepare(sql.stretches).all() as { kind: number; first: number; count: number }[]
    const forgets = stretches.filter(
      ({ kind, first, count }) => used[kind]?.subarray(first, first + count).includes(1) === false,
    )
    if (forgets.length === 0) return undefined
    return { blocks: [], identities: [], seal: { from: id, to: id, deleted }, replaces: [], forgets }
  }

  #look(): { id: number; deleted: number; last: number } {
    return this.db.prepare(sql.sealed).get() as { id: number; deleted: number; last: number }
  }
}

/** The longest run of small blocks: only neighbours in receipt may become one, for what is between their ids belongs to it. */
function neighbours(parts: readonly BlockRow[]): BlockRow[] {
  let longest: BlockRow[] = []
  let run: BlockRow[] = []
  let [events, bytes] = [0, 0]
  for (const part of parts) {
    const stays = part.events >= largeBlock || part.bytes >= largeBytes || part.stale > 0
    if (stays || events + part.events > 2 * largeBlock || bytes + part.bytes > buildMemory)
      [run, events, bytes] = [[], 0, 0]
    if (stays) continue
    run.push(part)
    events += part.events
    bytes += part.bytes
    if (run.length > longest.length) longest = run
  }
  return longest
}

/** Inside the caller's transaction. False, with nothing done, where the rows or blocks are not as they were any more. */
export function applySealedBatch(
  db: Db,
  { blocks, identities, seal, replaces, forgets = [] }: SealedBatch,
): boolean {
  const drop = db.prepare(sql.dropBlock)
  const putAside = db.prepare(sql.putAside)
  const asSeen = db.transaction(() => {
    if (seal && db.prepare(sql.seal).run(seal).changes === 0) throw new StaleBlockError()
    for (const { lingers, ...one } of replaces) {
      if ((lingers ? putAside : drop).run(one).changes === 0) throw new StaleBlockError()
    }
    for (const { kind, first } of forgets) db.prepare(sql.forget).run({ kind, first })
    for (const one of identities) insertDictionaryIds(db, one)
    const writer = new BlockWriter(db)
    for (const { block, afterId, lastId } of blocks) writer.insert(block, afterId, lastId)
    if (seal) db.prepare(sql.dropKeeper).run({ to: seal.to })
    else if (replaces.length > 0) db.prepare(sql.spentIdentities).run()
  })
  try {
    asSeen()
    return true
  } catch (error) {
    if (error instanceof StaleBlockError) return false
    throw error
  }
}

/** Forgets all blocks: everything is read from rows until it is sealed again. */
export function reset(db: Db): void {
  db.transaction(() => db.exec(sql.reset))()
}

/**
 * What is done next: rows go before what makes reading faster, where there are at least `least`. Small blocks of days before
 * `today` (since 1970-01-01) are made one, those of other days when they are many. `collect`: look for numbers that are not
 * used any more, too.
 */
export function* nextWork(
  sealer: Sealer,
  least = 1,
  today = Number.NEGATIVE_INFINITY,
  collect = false,
): Generator<void, SealedBatch | undefined> {
  const pass = sealer.unsealed() >= least ? yield* sealer.pass() : undefined
  const work = pass ?? (yield* sealer.renew()) ?? (yield* sealer.merge(today))
  return work ?? (collect ? yield* sealer.collect() : undefined)
}

/** Seals all there is, at once, for who has nothing else to do. */
export function sealAll(db: Db, today: number, onProgress: (unsealed: number) => void = () => {}): void {
  const sealer = new Sealer(db)
  for (;;) {
    const steps = nextWork(sealer, 1, today)
    let step = steps.next()
    while (!step.done) step = steps.next()
    const work = step.value
    if (!work) return
    db.transaction(() => applySealedBatch(db, work)).immediate()
    onProgress(sealer.unsealed())
  }
}
