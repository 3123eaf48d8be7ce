import type { Db } from "../store/db/driver.ts"
import { type Batch, type Column, idKinds, StaleBlockError, type Value } from "./batch.ts"
import { BlockReader, type BlockRow, blockColumns } from "./block-reader.ts"
import { IdDictionary } from "./id-dictionary.ts"
import { RowReader } from "./row-reader.ts"

const sql = {
  blocks: `
    select ${blockColumns}
    from blocks where website_rid >= 0 and stale = 0`,
  isThere: "select count(*) from blocks where id = :id and stale = 0 and website_rid >= 0",
  missing: `
    select (select count(*) from event_rows, sealed where event_rows.id <= sealed.id and website_rid >= 0)
      - (select coalesce(sum(events), 0) from blocks where website_rid >= 0) as missing,
      (select count(*) from blocks where website_rid >= 0 and stale > 0) as stale`,
}

/** Lines that are enough to know. */
const reportedLines = 20

/**
 * What the column blocks tell otherwise than the rows, a sentence each. Reads every event, some 5 us each; beside a running server too.
 * `onProgress`: blocks done, of how many.
 */
export function differences(db: Db, onProgress: (done: number, all: number) => void = () => {}): string[] {
  const rows = new RowReader(db)
  const identities = new IdDictionary(db)
  const reader = new BlockReader(db, rows, (kind, texts) => identities.find(kind, texts).numbers)
  const blocks = db.prepare(sql.blocks).all() as BlockRow[]
  const found: string[] = []
  const { missing, stale } = db.prepare(sql.missing).get() as { missing: number; stale: number }
  if (missing !== 0 && stale === 0) found.push(`the blocks hold ${-missing} events more than the rows`)
  for (const [index, block] of blocks.entries()) {
    onProgress(index, blocks.length)
    try {
      const difference = differ(reader.open(block), reader.fromRows(block))
      // A server may have replaced it meanwhile, or events were deleted.
      if (!difference || db.prepare(sql.isThere).pluck().get({ id: block.id }) === 0) continue
      found.push(`the block ${block.id} (${block.events} events) differs from the rows: ${difference}`)
    } catch (error) {
      if (
        !(error instanceof StaleBlockError) ||
        db.prepare(sql.isThere).pluck().get({ id: block.id }) !== 0
      ) {
        found.push(
          `the block ${block.id} cannot be read: ${(error as Error).message || "a column is missing"}`,
        )
      }
    }
    if (found.length >= reportedLines) break
  }
  return found
}

function differ(block: Batch, rows: Batch | undefined): string | undefined {
  if (block.count !== rows?.count) return `${rows?.count ?? 0} events are in the rows`
  if (!same(block.times(), rows.times())) return "times"
  for (const kind of idKinds) if (!same(block[kind](), rows[kind]())) return kind
  if (!same(block.propertied(), rows.propertied())) return "which events have properties"
  for (const field of ["namespace", "source", "path"] as const) {
    if (!sameColumn(block.column(field), rows.column(field))) return field
  }
  const keys = new Set([...block.keys().keys(), ...rows.keys().keys()])
  for (const key of keys)
    if (!sameColumn(block.property(key), rows.property(key))) return "values of a property"
  return undefined
}

function same(one: ArrayLike<number>, other: ArrayLike<number>): boolean {
  for (let index = 0; index < one.length; index++) if (one[index] !== other[index]) return false
  return one.length === other.length
}

/** Codes may differ, what they stand for may not. */
function sameColumn(one: Column | undefined, other: Column | undefined): boolean {
  if (!one || !other) return one === other
  const text = (value: Value | undefined) => JSON.stringify(value)
  const [texts, others] = [one.values.map(text), other.values.map(text)]
  const [few, otherFew] = [one.few, other.few]
  if (few && otherFew && !same(few.at, otherFew.at)) return false
  const [codes, otherCodes] = few && otherFew ? [few.codes, otherFew.codes] : [one.codes, other.codes]
  for (let index = 0; index < codes.length; index++) {
    if (texts[(codes[index] as number) - 1] !== others[(otherCodes[index] as number) - 1]) return false
  }
  return true
}
