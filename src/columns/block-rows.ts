import { runToEnd } from "../steps.ts"
import { type Column, dayMs, StaleBlockError, sliceKey } from "./batch.ts"
import type { BlockRow, Slice } from "./block.ts"
import { bySlice } from "./block-format.ts"
import type { OpenProperty } from "./block-layout.ts"
import { sliceOf, ValueColumn } from "./column.ts"
import { buildMemory, ColumnBuilder, type DictionaryIdsOf } from "./column-builder.ts"
import { type ColumnCache, columnBytes } from "./column-cache.ts"
import { propertyOf } from "./lazy-properties.ts"
import { MemoryBatch } from "./memory-batch.ts"
import type { Row, RowReader } from "./row-reader.ts"

const hourMs = 3_600_000

/**
 * Returns as many blocks from the start of the list as fit into the build memory when their columns are built together,
 * but at least one.
 */
export function fittingBlocks<Row extends Pick<BlockRow, "bytes">>(blocks: readonly Row[]): Row[] {
  let bytes = 0
  const end = blocks.findIndex((block, index) => {
    bytes += block.bytes
    return index > 0 && bytes > buildMemory
  })
  return end < 0 ? [...blocks] : blocks.slice(0, end)
}

/**
 * Builds the columns of blocks from the rows of their events. Used to read values that a block does not store, and to
 * check or rebuild blocks.
 */
export class BlockRows {
  constructor(
    private readonly rows: RowReader,
    private readonly dictionaryIdsOf: DictionaryIdsOf,
    private readonly cache: ColumnCache,
  ) {}

  /**
   * Reads a property of a slice from the rows. For the first property of a block that is read in this way, builds only
   * its column. For any other property, builds all columns of the block. Throws StaleBlockError if the rows no longer
   * match the block.
   */
  property(slice: Slice, key: string, property: OpenProperty): Column | undefined {
    const { block, index, events } = slice
    const first = property.firstOf(index)
    if (first === undefined) return undefined
    const firstProperty = this.cache.get(block, "property from rows", () => ({
      content: { key },
      bytes: columnBytes,
    }))
    if (firstProperty.key !== key) return this.#batchesFromRows(block).get(sliceKey(slice))?.property(key)
    return sliceOf(this.#columnFromRows(block, key, property), first, first + events)
  }

  #batchesFromRows(row: BlockRow): ReadonlyMap<string, MemoryBatch> {
    return this.cache.get(row, "rows", () => {
      const batches = this.build(row)
      // An event that was deleted after the block was looked up would shift all later events.
      if (row.slices.some(({ events }, index) => events !== batches[index]?.count))
        throw new StaleBlockError()
      return { content: batchesBySlice(batches), bytes: row.bytes }
    })
  }

  #columnFromRows(row: BlockRow, key: string, property: OpenProperty): Column {
    return this.cache.get(row, `property.${key}`, () => {
      const column = new ValueColumn()
      const slices = new Map(
        row.slices.map((slice) => [
          sliceKey(slice),
          { left: slice.events, at: property.firstOf(slice.index) },
        ]),
      )
      for (let hour = 0; hour < dayMs; hour += hourMs) {
        for (const [, , typeId, , crawler, , , , , properties] of this.#rowsOf(row, hour)) {
          const type = this.rows.typeOf(typeId)
          const slice = slices.get(sliceKey({ name: type.name, kind: type.kind, crawler: crawler === 1 }))
          if (!slice || slice.left-- === 0) throw new StaleBlockError()
          if (slice.at === undefined) continue
          column.set(slice.at++, propertyOf(this.rows, type.keys, properties, key))
        }
      }
      // An event that was deleted after the block was looked up would shift all later events.
      for (const { left } of slices.values()) if (left !== 0) throw new StaleBlockError()
      const content = column.finish(property.count)
      return { content, bytes: columnBytes + column.bytes + column.dictionary.bytes }
    })
  }

  /**
   * Iterates over a block's rows in one hour of the day, by time and then id. `hour`: start of the hour in ms after the
   * start of the day.
   */
  #rowsOf({ website, day, afterId, lastId }: BlockRow, hour: number): IterableIterator<Row> {
    const from = day * dayMs + hour
    return this.rows.byTime(website, from, from + hourMs, afterId, lastId)
  }

  /** Builds the batches of a block from the rows. */
  build(row: BlockRow): MemoryBatch[] {
    return this.buildAll([row]).get(row.id) ?? []
  }

  /**
   * Builds the batches of several blocks from the rows. The blocks must have the same website and day. Returns the
   * batches by block id.
   */
  buildAll(blocks: readonly BlockRow[]): Map<number, MemoryBatch[]> {
    return runToEnd(this.buildInSteps(blocks))
  }

  /** Does the same as `buildAll`, but yields after each hour. Reads the rows of the day once for all blocks. */
  *buildInSteps(blocks: readonly BlockRow[]): Generator<void, Map<number, MemoryBatch[]>> {
    const [first] = blocks
    if (!first) return new Map()
    const afterId = Math.min(...blocks.map(({ afterId }) => afterId))
    const lastId = Math.max(...blocks.map(({ lastId }) => lastId))
    const builders = blocks.map((block) => ({ block, builder: new ColumnBuilder(this.rows) }))
    for (let hour = 0; hour < dayMs; hour += hourMs) {
      for (const row of this.#rowsOf({ ...first, afterId, lastId }, hour))
        for (const { block, builder } of builders) if (this.#holds(block, row)) builder.add(row)
      yield
    }
    return new Map(
      builders.map(({ block, builder }) => [
        block.id,
        [...builder.finish(this.dictionaryIdsOf)].map((columns) => new MemoryBatch(columns)).sort(bySlice),
      ]),
    )
  }

  #holds(
    { afterId, lastId, hasSingleName, slices: [slice] }: BlockRow,
    [id, , typeId, , crawler]: Row,
  ): boolean {
    if (id <= afterId || id > lastId) return false
    if (!hasSingleName || !slice) return true
    const { name, kind } = this.rows.typeOf(typeId)
    return sliceKey(slice) === sliceKey({ name, kind, crawler: crawler === 1 })
  }
}

/** Returns the batches by slice key. See `sliceKey`. */
export function batchesBySlice(batches: readonly MemoryBatch[]): ReadonlyMap<string, MemoryBatch> {
  return new Map(batches.map((batch) => [sliceKey(batch), batch]))
}
