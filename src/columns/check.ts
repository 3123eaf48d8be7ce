import { messageOf } from "../errors.ts"
import type { Db } from "../store/db/driver.ts"
import { hashBytes, hashIds, hashSeed, type IdChunk, PackedTexts, wordsPerHash } from "../store/identities.ts"
import {
  type Batch,
  type Column,
  type IdKind,
  idKinds,
  StaleBlockError,
  sliceKey,
  textFields,
  type Value,
} from "./batch.ts"
import { type BlockRow, blockColumns, blockOf, type RawBlock } from "./block.ts"
import { BlockReader } from "./block-reader.ts"
import { IdDictionary } from "./id-dictionary.ts"
import { RowReader } from "./row-reader.ts"

const sql = {
  blocks: `
    select ${blockColumns}
    from blocks where website_rid >= 0 and stale = 0`,
  exists: "select count(*) from blocks where id = :id and stale = 0 and website_rid >= 0",
  missing: `
    select (select count(*) from event_rows, sealed where event_rows.id <= sealed.id and website_rid >= 0)
      - (select coalesce(sum(events), 0) from blocks where website_rid >= 0) as missing,
      (select count(*) from blocks where website_rid >= 0 and stale > 0) as stale`,
  texts: "select kind, first, hashes, texts from identities where kind < 10 and texts is not null",
}

/** The comparison stops after this many differences. */
const reportedLines = 20

/**
 * Compares all column blocks with the rows, and the stored ids with their hashes. Returns one message per difference.
 * Reads all events, which takes about 5 µs per event. Safe to call while a server is running. `onProgress` receives the
 * number of blocks compared so far and the total number of blocks.
 */
export function differences(db: Db, onProgress: (done: number, all: number) => void = () => {}): string[] {
  const rows = new RowReader(db)
  const dictionary = new IdDictionary(db)
  const reader = new BlockReader(db, rows, (kind, texts) => dictionary.find(kind, texts).ids)
  const blocks = (db.prepare(sql.blocks).all() as RawBlock[]).map(blockOf)
  const reports: string[] = []
  const { missing, stale } = db.prepare(sql.missing).get() as { missing: number; stale: number }
  if (missing !== 0 && stale === 0) reports.push(`the blocks hold ${-missing} more events than the rows`)
  for (const [index, block] of blocks.entries()) {
    onProgress(index, blocks.length)
    try {
      const difference = compareBlock(block, reader)
      // Ignores the difference if a server has replaced the block or deleted events in the meantime.
      if (!difference || db.prepare(sql.exists).pluck().get({ id: block.id }) === 0) continue
      reports.push(`the block ${block.id} (${block.events} events) differs from the rows: ${difference}`)
    } catch (error) {
      if (!(error instanceof StaleBlockError) || db.prepare(sql.exists).pluck().get({ id: block.id }) !== 0) {
        reports.push(`the block ${block.id} cannot be read: ${messageOf(error) || "a column is missing"}`)
      }
    }
    if (reports.length >= reportedLines) break
  }
  return [...reports, ...textDifferences(db)]
}

function textDifferences(db: Db): string[] {
  const seed = hashSeed(db)
  const reports: string[] = []
  for (const chunk of db.prepare(sql.texts).iterate() as Iterable<IdChunk>) {
    if (!hasTextsOfHashes(chunk, seed))
      reports.push(
        `the texts of the ids of ${idKinds[chunk.kind]} do not match the stored hashes, in the chunk that starts at dictionary id ${chunk.first}`,
      )
    if (reports.length >= reportedLines) break
  }
  return reports
}

function hasTextsOfHashes({ hashes, texts: packed }: IdChunk, seed: bigint): boolean {
  try {
    const texts = new PackedTexts(packed as Uint8Array, hashes.length / hashBytes).all()
    const expected = hashIds(texts, seed)
    for (const [index, text] of texts.entries())
      if (text === "") expected.fill(0, index * wordsPerHash, (index + 1) * wordsPerHash)
    return Buffer.compare(hashes, new Uint8Array(expected.buffer)) === 0
  } catch {
    // The texts are damaged.
    return false
  }
}

function compareBlock(block: BlockRow, reader: BlockReader): string | undefined {
  const rows = reader.rows.build(block)
  if (rows.length > block.slices.length) return "a name is missing"
  for (const kind of idKinds) {
    const stored = reader.segments.distinct(block, kind)
    if (stored && !equalArrays(stored.ids(), distinctIn(rows, kind))) return `the set of ${kind}`
  }
  for (const [index, slice] of block.slices.entries()) {
    const difference = compareSlice(reader.open(slice), rows[index])
    if (difference) return difference
  }
  return undefined
}

function compareSlice(block: Batch, rows: Batch | undefined): string | undefined {
  if (!rows || sliceKey(block) !== sliceKey(rows)) return "a name is not in the rows"
  if (block.count !== rows.count) return `${rows.count} events are in the rows`
  if (!equalArrays(block.times(), rows.times())) return "times"
  for (const kind of idKinds) if (!equalArrays(block[kind](), rows[kind]())) return kind
  if (!equalArrays(block.hasProperties(), rows.hasProperties())) return "which events have properties"
  for (const field of textFields) {
    const columns = [block, rows].map((batch) => batch.column(field) ?? emptyColumn(batch.count))
    if (!equalColumns(columns[0], columns[1])) return field
  }
  const keys = new Set([...block.keys().keys(), ...rows.keys().keys()])
  for (const key of keys)
    if (!equalColumns(block.property(key), rows.property(key))) return "values of a property"
  return undefined
}

/** Returns the distinct dictionary ids in the batches, except 0, in ascending order. */
function distinctIn(batches: readonly Batch[], kind: IdKind): Uint32Array {
  const ids = new Set<number>()
  for (const batch of batches) for (const id of batch[kind]()) ids.add(id)
  ids.delete(0)
  return Uint32Array.from(ids).sort()
}

/**
 * Returns a column in which no event has a value. A slice has such a column for a field if only other slices of the
 * block have values for it.
 */
function emptyColumn(count: number): Column {
  return { codes: new Uint8Array(count), values: [] }
}

function equalArrays(left: ArrayLike<number>, right: ArrayLike<number>): boolean {
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false
  return left.length === right.length
}

/** Compares values rather than codes, because a value can have different codes in the two columns. */
function equalColumns(left: Column | undefined, right: Column | undefined): boolean {
  if (!left || !right) return left === right
  const text = (value: Value | undefined) => JSON.stringify(value)
  const [leftTexts, rightTexts] = [left.values.map(text), right.values.map(text)]
  const [leftFew, rightFew] = [left.few, right.few]
  if (leftFew && rightFew && !equalArrays(leftFew.at, rightFew.at)) return false
  const [leftCodes, rightCodes] =
    leftFew && rightFew ? [leftFew.codes, rightFew.codes] : [left.codes, right.codes]
  for (let index = 0; index < leftCodes.length; index++) {
    if (leftTexts[(leftCodes[index] as number) - 1] !== rightTexts[(rightCodes[index] as number) - 1])
      return false
  }
  return true
}
