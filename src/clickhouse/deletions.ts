import { startOfNode } from "../store/node-ids.ts"
import type { IdRange } from "../store/shipping.ts"
import type { WebsiteDay } from "./comparison.ts"
import { deletionTarget, quoteText, type SchemaState } from "./schema.ts"

// ClickHouse's delete statements cannot have parameters, so ids, days and websites are part of their text. Ids and days
// are numbers, and website ids are quoted. Each statement deletes many events, because a delete statement changes all
// parts of the table and takes the cluster up to a second.

/**
 * Maximum numbers of ids, ranges and rows per statement. ClickHouse limits a statement to 256 KiB, and an id has at
 * most 16 digits.
 */
const idsPerStatement = 10_000
const rangesPerStatement = 500
const rowsPerStatement = 500

/** Returns statements that delete the events that match a condition, and their rows in `event_ids` if it exists. */
function deleteEvents(condition: string, schema: SchemaState): string[] {
  const tables = ["events", ...(schema.hasEventIds ? ["event_ids"] : [])]
  return tables.map((table) => `delete from ${deletionTarget(table, schema)} where ${condition}`)
}

/** Returns statements that delete the events in these ranges. */
export function deleteRanges(ranges: readonly IdRange[], schema: SchemaState): string[] {
  const single = ranges.filter(({ first, last }) => first === last)
  const wide = ranges.filter(({ first, last }) => first < last)
  return [
    ...parts(single, idsPerStatement).map((part) => `id in (${part.map(({ first }) => first)})`),
    ...parts(wide, rangesPerStatement).map((part) =>
      part.map(({ first, last }) => `id between ${first} and ${last}`).join(" or "),
    ),
  ].flatMap((condition) => deleteEvents(condition, schema))
}

/**
 * A row in the cluster that has no matching event in the SQLite file. The file may have an event with the same id on
 * another day.
 */
export interface ForeignRow extends WebsiteDay {
  id: number
}

export function deleteRows(rows: readonly ForeignRow[], schema: SchemaState): string[] {
  return parts(rows, rowsPerStatement).flatMap((part) => {
    const tuples = part.map(({ website, day, id }) => `(${quoteText(website)}, toDate32(${day}), ${id})`)
    // The first condition uses the index on ids.
    return deleteEvents(`id in (${part.map(({ id }) => id)}) and (website, day, id) in (${tuples})`, schema)
  })
}

/**
 * Returns statements that delete one node's events of a website and day, with ids up to `lastId`. The node is the one
 * whose number is part of `lastId`.
 */
export function deleteDay({ website, day }: WebsiteDay, lastId: number, schema: SchemaState): string[] {
  const ofDay = `website = ${quoteText(website)} and day = toDate32(${day})`
  return deleteEvents(`${ofDay} and id > ${startOfNode(lastId)} and id <= ${lastId}`, schema)
}

function parts<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  )
}
