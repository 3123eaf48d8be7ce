import type { Db } from "./db/driver.ts"

/** Types per check. Their ids are in memory. */
const typesPerCheck = 200_000
/** Event rows per step: about 3 ms. */
const rowsPerStep = 5_000
/** Types deleted per transaction: about 5 ms. */
const deletesPerStep = 250
/** ms between two steps in a process without other work: leaves the disk to other processes. */
export const typeCheckPause = 1

const sql = {
  checks: "select type_id, changes from type_checks order by type_id limit :limit",
  begin: "update type_state set checks = checks + 1",
  last: "select coalesce(max(id), 0) from event_rows",
  first: "select min(id) from (select id from event_rows where id <= :to order by id desc limit :rows)",
  used: "select distinct type_id from event_rows where id between :from and :to",
  isSame: "select 1 from type_checks where type_id = :id and changes = :changes",
  delete: "delete from event_types where id = :id",
  done: "delete from type_checks where type_id = :id and changes = :changes",
}

/** How the caller runs the steps of a check. */
export interface CheckSchedule {
  /** Runs `work` in a transaction. */
  write: <Result>(work: () => Result) => Result | Promise<Result>
  /** Called between two steps. Return false to stop; the next check continues. */
  pause: () => Promise<boolean>
}

/**
 * Deletes event types without events and returns their number. There is no index on the type of an event, because every
 * insert would pay for it. Instead this scans from the newest event until it has found an event of each candidate; if one
 * has none, that is all rows, about 0.5 s per million. Safe beside inserts of any process: see `EventInserter`.
 */
export async function deleteUnusedTypes(db: Db, { write, pause }: CheckSchedule): Promise<number> {
  const check = await write(() => beginCheck(db))
  if (check.types.size === 0) return 0
  const candidates = new Map(check.types)
  const first = db.prepare(sql.first).pluck()
  const used = db.prepare(sql.used).pluck()
  for (let to = check.last; candidates.size > 0; ) {
    const from = first.get({ to, rows: rowsPerStep }) as number | null
    if (from === null) break
    for (const id of used.all({ from, to }) as number[]) candidates.delete(id)
    to = from - 1
    if (!(await pause())) return 0
  }
  let deleted = 0
  const all = [...check.types]
  for (let at = 0; at < all.length; at += deletesPerStep) {
    const batch = all.slice(at, at + deletesPerStep)
    deleted += await write(() => finishCheck(db, batch, (id) => !candidates.has(id)))
    if (!(await pause())) break
  }
  return deleted
}

/** True if a check has anything to do. */
export function hasUncheckedTypes(db: Db): boolean {
  return db.prepare(sql.checks).get({ limit: 1 }) !== undefined
}

/** Starts a check. From here on, an insert of an event with one of these types increments the change counter of the type. */
function beginCheck(db: Db): { types: Map<number, number>; last: number } {
  const checks = db.prepare(sql.checks).raw().all({ limit: typesPerCheck }) as [number, number][]
  if (checks.length > 0) db.prepare(sql.begin).run()
  return { types: new Map(checks), last: db.prepare(sql.last).pluck().get() as number }
}

/** Deletes unused types. A type that changed during the check is left to the next check. */
function finishCheck(
  db: Db,
  types: readonly (readonly [id: number, changes: number])[],
  isUsed: (id: number) => boolean,
): number {
  const remove = db.prepare(sql.delete)
  const isSame = db.prepare(sql.isSame)
  const done = db.prepare(sql.done)
  let deleted = 0
  for (const [id, changes] of types) {
    if (isUsed(id)) done.run({ id, changes })
    else if (isSame.get({ id, changes })) deleted += remove.run({ id }).changes
  }
  return deleted
}
