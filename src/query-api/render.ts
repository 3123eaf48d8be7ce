import type { RenderedRows, ResponseLimits } from "../query/engine/messages.ts"
import type { MemoryBudget } from "../query/structures/memory-budget.ts"
import { rowsOf } from "./execute.ts"
import type { QuerySpec, Row, RunQuery } from "./query-spec.ts"
import { tooManyBytes, tooManyCells } from "./result-limits.ts"

/** Number of rows serialized per step. A step takes a few ms. */
const rowsPerStep = 500
/**
 * A chunk of the response ends once it has this many characters. It is small enough for a single write, but large
 * enough to keep the number of chunks low.
 */
const chunkCharacters = 262_144
/** Memory used by a row, and by a cell, in bytes. */
const rowBytes = 64
const cellBytes = 16

/**
 * Renders the rows of one parameter as JSON, in steps. `run` appends the statistics of each query to `statistics`.
 * Throws a RequestError if the rows exceed the limits.
 */
export function* render(
  spec: QuerySpec,
  run: RunQuery,
  statistics: RenderedRows["statistics"],
  limits: ResponseLimits,
  budget: MemoryBudget,
): Generator<void, RenderedRows> {
  const { rows, total, nextCursor, movers } = yield* rowsOf(spec, run)
  yield
  const cells = cellsOf(rows)
  if (cells > limits.cells) throw tooManyCells(limits.cells)
  budget.reserve(rows.length * rowBytes + cells * cellBytes)
  const chunks: RenderedRows["chunks"] = []
  let bytes = 0
  for (const text of textOf(rows)) {
    const chunk = new TextEncoder().encode(text)
    budget.reserve(chunk.length)
    bytes += chunk.length
    if (bytes > limits.bytes) throw tooManyBytes(limits.bytes)
    chunks.push(chunk)
    yield
  }
  return { chunks, bytes, rows: rows.length, cells, total, nextCursor, movers, statistics }
}

function* textOf(rows: readonly Row[]): Generator<string> {
  let text = "["
  for (let at = 0; at < rows.length; at += rowsPerStep) {
    text += (at === 0 ? "" : ",") + JSON.stringify(rows.slice(at, at + rowsPerStep)).slice(1, -1)
    if (text.length < chunkCharacters) continue
    yield text
    text = ""
  }
  yield `${text}]`
}

/** Returns the number of cells, including those in `previous`. Reads one row, because all have the same columns. */
function cellsOf(rows: readonly Row[]): number {
  const [first] = rows
  if (!first) return 0
  return rows.length * (Object.keys(first).length + Object.keys(Object(first.previous)).length)
}
