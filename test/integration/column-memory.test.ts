import { heapStats } from "bun:jsc"
import { expect, test } from "bun:test"
import { ColumnBuilder } from "../../src/columns/column-builder.ts"
import type { Columns } from "../../src/columns/memory-batch.ts"
import { RowReader } from "../../src/columns/row-reader.ts"
import { openTestDatabase, temporaryFolder } from "../harness.ts"
import { insertRows } from "../reference/events.ts"
import { eventRow } from "../support/event.ts"

const names = 6
/**
 * Number of measurements. The garbage collector can find old references on the stack, and then keeps a builder. The
 * smallest of several measurements does not include such a builder.
 */
const attempts = 8
const keys = Array.from({ length: 40 }, (_, key) => `key_${key}`)

function arrays(): number {
  Bun.gc(true)
  return heapStats().objectTypeCounts.Uint32Array ?? 0
}

/** Builds columns in a separate function, so that the stack has no reference to the builder. */
function build(reader: RowReader, rows: number): Columns[] {
  const builder = new ColumnBuilder(reader)
  for (let at = 0; at < rows; ) at = builder.addSome(at, rows)
  return [...builder.finish((_, texts) => new Uint32Array(texts.length))]
}

test("finished columns do not retain the memory that was used to build them", () => {
  using folder = temporaryFolder()
  const db = openTestDatabase(folder.file("a.db"))
  const rows = Array.from({ length: names * 10 }, (_, index) =>
    eventRow({
      name: `name ${index % names}`,
      ts: index,
      keys: JSON.stringify(keys),
      properties: keys.map(() => index % 7).join(","),
    }),
  )
  insertRows(db, rows)
  const kept: Columns[][] = []
  const added = Array.from({ length: attempts }, () => {
    const before = arrays()
    kept.push(build(new RowReader(db), rows.length))
    return arrays() - before
  })
  expect(kept.map(({ length }) => length)).toEqual(Array(attempts).fill(names))
  // While columns are built, those of each property use one array. The finished columns use no arrays of this type.
  expect(Math.min(...added)).toBeLessThan((names * keys.length) / 2)
  expect(kept[0]?.[0]?.properties().columnOf("key_3")?.values.length).toBe(7)
  db.close()
})
