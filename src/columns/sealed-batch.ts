import type { Db } from "../store/db/driver.ts"
import { storeIdChunk } from "../store/identities.ts"
import { StaleBlockError } from "./batch.ts"
import type { EncodedBlock } from "./block-format.ts"
import { BlockWriter } from "./block-writer.ts"
import type { IdChanges } from "./id-maintenance.ts"

/**
 * Blocks built from rows or from other blocks, and the preconditions for storing them. A retired block is one that has
 * been replaced by another block. Snapshots that were opened before can still read it.
 */
export interface SealedBatch extends IdChanges {
  blocks: { block: EncodedBlock; afterId: number; lastId: number }[]
  /**
   * Marks the rows up to `to` as sealed. Precondition: none of these rows has been sealed or deleted since they were
   * read.
   */
  seal?: { from: number; to: number; deleted: number }
  /**
   * Blocks to delete. Precondition: their `stale` is unchanged. If `isRetained` is true, the block is only retired, and
   * deleted later.
   */
  removes: { id: number; stale: number; isRetained: boolean }[]
}

const sql = {
  /**
   * If only the dictionary of ids changes (`from` = `to`), the change counts as a deletion, because readers that hold
   * unsealed rows must then assign dictionary ids again.
   */
  seal: `
    update sealed set id = :to, deleted = deleted + (:from = :to) where id = :from and deleted = :deleted`,
  dropChunk: "delete from identities where kind = :kind and first = :first",
  /** Deletes the empty row that kept SQLite from reusing its id. A row with a higher id now serves this purpose. */
  dropPlaceholder: "delete from event_rows where website_rid < 0 and id < :to",
  dropBlock: "delete from blocks where id = :id and stale = :stale",
  retire: "update blocks set website_rid = -1 - website_rid where id = :id and stale = :stale",
}

/**
 * Stores a batch. Must be called in a transaction. If a precondition of the batch no longer holds, changes nothing and
 * returns false.
 */
export function applySealedBatch(
  db: Db,
  { blocks, identities, seal, removes, unusedChunks = [] }: SealedBatch,
): boolean {
  const drop = db.prepare(sql.dropBlock)
  const retire = db.prepare(sql.retire)
  const apply = db.transaction(() => {
    if (seal && db.prepare(sql.seal).run(seal).changes === 0) throw new StaleBlockError()
    for (const { isRetained, ...block } of removes) {
      if ((isRetained ? retire : drop).run(block).changes === 0) throw new StaleBlockError()
    }
    for (const { kind, first } of unusedChunks) db.prepare(sql.dropChunk).run({ kind, first })
    for (const chunk of identities) storeIdChunk(db, chunk)
    const writer = new BlockWriter(db)
    for (const { block, afterId, lastId } of blocks) writer.insert(block, afterId, lastId)
    if (seal) db.prepare(sql.dropPlaceholder).run({ to: seal.to })
  })
  try {
    apply()
    return true
  } catch (error) {
    if (error instanceof StaleBlockError) return false
    throw error
  }
}
