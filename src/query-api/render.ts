import type { SnapshotReader } from "../columns/snapshot-reader.ts"
import { executeQuery } from "../query/engine/execute.ts"
import type { Rendered, Room } from "../query/engine/messages.ts"
import type { MemoryBudget } from "../query/structures/id-set.ts"
import { rowsOf } from "./execute.ts"
import { tooManyBytes, tooManyCells } from "./limits.ts"
import type { QuerySpec, Row, RunQuery } from "./query-spec.ts"

/** Rows that become text in one step: some ms. */
const rowsPerStep = 500
/** Characters from which text becomes bytes: few enough to be sent in one go, and enough that there are few of them. */
const chunkCharacters = 262_144
/** Bytes that a row takes in memory, and a cell of it. */
const rowBytes = 64
const cellBytes = 16

/** Answers one parameter, in steps: its rows as JSON text. Throws a Refusal where they are more than there is room for. */
export function* render(
  reader: SnapshotReader,
  ask: QuerySpec,
  room: Room,
  budget: MemoryBudget,
): Generator<void, Rendered> {
  const metas: Rendered["metas"] = []
  const put: RunQuery = function* (question) {
    const { answer, meta } = yield* executeQuery(reader, question, budget)
    metas.push(meta)
    return answer
  }
  const { rows, total, nextCursor } = yield* rowsOf(ask, put)
  yield
  const cells = cellsOf(rows)
  if (cells > room.cells) throw tooManyCells(room.cells)
  budget.take(rows.length * rowBytes + cells * cellBytes)
  const chunks: Rendered["chunks"] = []
  let bytes = 0
  for (const text of textOf(rows)) {
    const chunk = new TextEncoder().encode(text)
    budget.take(chunk.length)
    bytes += chunk.length
    if (bytes > room.bytes) throw tooManyBytes(room.bytes)
    chunks.push(chunk)
    yield
  }
  return { chunks, bytes, rows: rows.length, cells, total, nextCursor, metas }
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

/** All rows of an answer have the same columns; those of what it is compared with count too. */
function cellsOf(rows: readonly Row[]): number {
  const [first] = rows
  if (!first) return 0
  const compared = first.previous
  const columns = Object.keys(first).length + (compared ? Object.keys(compared as Row).length : 0)
  return rows.length * columns
}
