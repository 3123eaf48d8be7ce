import { contextTables } from "./context-tables.ts"
import type { Db } from "./db/driver.ts"
import { textColumns } from "./texts.ts"

/**
 * Maximum number of types, contexts and texts per check, each counted separately. The number is limited because their
 * IDs are held in memory.
 */
const candidatesPerCheck = 200_000
/** Number of event rows per step. A step takes about 3 ms, or 7 ms if texts are checked. */
const rowsPerStep = 5_000
/** Number of types, contexts or texts to delete per transaction. Deleting them takes about 5 ms. */
const deletesPerStep = 250
/** Pause between steps in a process without other work, in ms. It lets other processes use the disk. */
export const typeCheckPause = 1

/**
 * Tables whose rows are deleted once no event references them. `columns` are the columns of event_rows that reference
 * the table. `checks` is a table that lists the rows that might be unused, with a counter that each new use during a
 * check increments. `id` is the key column of that table.
 */
const targets = [
  { table: "event_types", checks: "type_checks", id: "type_id", columns: ["type_id"] },
  { id: "id", ...contextTables.client, columns: [contextTables.client.column] },
  { id: "id", ...contextTables.acquisition, columns: [contextTables.acquisition.column] },
  { table: "texts", checks: "text_checks", id: "id", columns: textColumns },
] as const

type Target = (typeof targets)[number]

const sql = {
  checks: ({ id, checks }: Target) => `select ${id}, changes from ${checks} order by ${id} limit :limit`,
  count: ({ checks }: Target) => `select count(*) from ${checks}`,
  begin: "update type_state set checks = checks + 1",
  last: "select coalesce(max(id), 0) from event_rows",
  first: "select min(id) from (select id from event_rows where id <= :to order by id desc limit :rows)",
  used: ({ columns }: Target) =>
    columns
      .map(
        (column) => `
          select ${column} from event_rows where id between :from and :to and typeof(${column}) = 'integer'`,
      )
      .join(" union "),
  isSame: ({ id, checks }: Target) => `select 1 from ${checks} where ${id} = :id and changes = :changes`,
  delete: ({ table }: Target) => `delete from ${table} where id = :id`,
  done: ({ id, checks }: Target) => `delete from ${checks} where ${id} = :id and changes = :changes`,
}

/** Determines how the steps of a check run. */
export interface CheckSchedule {
  /** Runs `work` in a transaction. */
  write: <Result>(work: () => Result) => Result | Promise<Result>
  /** Called between steps. Return false to stop. The rest is then left to the next check. */
  pause: () => Promise<boolean>
}

/** The types, texts, or contexts of one kind that a check examines. */
interface Candidates {
  target: Target
  /** Each ID's change counter at the start of the check. */
  changes: ReadonlyMap<number, number>
  /** IDs for which no event has been found. */
  unused: Set<number>
}

/**
 * Deletes event types, contexts and texts without events, and returns how many were deleted. There is no index on the
 * type or context of an event, because it would slow down every insert. Instead, rows are scanned, starting with the
 * newest event, until an event has been found for each candidate. If a candidate has no event, this scans all rows,
 * which takes about 0.5 s per million. A check is safe even while other processes insert events (see `EventInserter`).
 */
export async function deleteUnusedTypes(db: Db, { write, pause }: CheckSchedule): Promise<number> {
  const { candidates, last } = await write(() => beginCheck(db))
  if (candidates.length === 0) return 0
  const first = db.prepare(sql.first).pluck()
  const scans = candidates.map(({ target, unused }) => ({
    unused,
    used: db.prepare(sql.used(target)).pluck(),
  }))
  for (let to = last; ; ) {
    const open = scans.filter(({ unused }) => unused.size > 0)
    const from = open.length === 0 ? null : (first.get({ to, rows: rowsPerStep }) as number | null)
    if (from === null) break
    for (const { unused, used } of open)
      for (const id of used.all({ from, to }) as number[]) unused.delete(id)
    to = from - 1
    if (!(await pause())) return 0
  }
  let deleted = 0
  for (const { target, changes, unused } of candidates) {
    const all = [...changes]
    for (let at = 0; at < all.length; at += deletesPerStep) {
      const batch = all.slice(at, at + deletesPerStep)
      deleted += await write(() => finishCheck(db, target, batch, (id) => !unused.has(id)))
      if (!(await pause())) return deleted
    }
  }
  return deleted
}

/** Returns true if a check has anything to do. */
export function hasUncheckedTypes(db: Db): boolean {
  return targets.some((target) => db.prepare(sql.checks(target)).get({ limit: 1 }) !== undefined)
}

/** Returns the number of checks needed to examine everything that might be unused now. */
export function checksNeeded(db: Db): number {
  const counts = targets.map((target) => db.prepare(sql.count(target)).pluck().get() as number)
  return Math.ceil(Math.max(...counts) / candidatesPerCheck)
}

/**
 * Starts a check, and returns its candidates and the highest event ID. From then on, inserting an event with one of
 * these types, contexts or texts increments its change counter.
 */
function beginCheck(db: Db): { candidates: Candidates[]; last: number } {
  const candidates = targets.flatMap((target): Candidates[] => {
    const checks = db.prepare(sql.checks(target)).raw().all({ limit: candidatesPerCheck }) as [
      number,
      number,
    ][]
    const changes = new Map(checks)
    return changes.size === 0 ? [] : [{ target, changes, unused: new Set(changes.keys()) }]
  })
  if (candidates.length > 0) db.prepare(sql.begin).run()
  return { candidates, last: db.prepare(sql.last).pluck().get() as number }
}

/**
 * Deletes the checked types, contexts or texts that are unused, and returns how many it deleted. Those that new events
 * have used since the check started are left for the next check.
 */
function finishCheck(
  db: Db,
  target: Target,
  checked: readonly (readonly [id: number, changes: number])[],
  isUsed: (id: number) => boolean,
): number {
  const remove = db.prepare(sql.delete(target))
  const isSame = db.prepare(sql.isSame(target))
  const done = db.prepare(sql.done(target))
  let deleted = 0
  for (const [id, changes] of checked) {
    if (isUsed(id)) done.run({ id, changes })
    else if (isSame.get({ id, changes })) deleted += remove.run({ id }).changes
  }
  return deleted
}
