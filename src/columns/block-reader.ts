import type { Db } from "../store/db/driver.ts"
import type { Batch } from "./batch.ts"
import type { Slice } from "./block.ts"
import { BlockRows } from "./block-rows.ts"
import type { DictionaryIdsOf } from "./column-builder.ts"
import { ColumnCache } from "./column-cache.ts"
import { JoinedBatch } from "./joined-batch.ts"
import type { RowReader } from "./row-reader.ts"
import { SegmentReader } from "./segment-reader.ts"
import { StoredBatch } from "./stored-batch.ts"

/** Reads blocks. Caches their columns in up to `memory()` bytes of memory. */
export class BlockReader {
  readonly cache: ColumnCache
  readonly segments: SegmentReader
  readonly rows: BlockRows

  constructor(db: Db, rows: RowReader, dictionaryIdsOf: DictionaryIdsOf, memory: () => number = () => 0) {
    this.cache = new ColumnCache(memory)
    this.segments = new SegmentReader(db, this.cache)
    this.rows = new BlockRows(rows, dictionaryIdsOf, this.cache)
  }

  open(slice: Slice): Batch {
    return new StoredBatch(slice, this.segments, this.rows)
  }

  /** Opens adjacent slices of a block as one batch. */
  join(slices: readonly Slice[]): Batch {
    return new JoinedBatch(slices, this.segments, this.rows)
  }
}
