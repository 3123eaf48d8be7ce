import type { Db } from "./db/driver.ts"

/** Types in one check; their ids are in memory. */
const typesPerCheck = 200_000
/** Event rows read in one step: some 3 ms. */
const rowsPerStep = 5_000
/** Types deleted in one transaction: some 5 ms. */
const deletesPerStep = 250
/** ms to rest between two steps where the thread has nothing else to do: others get their turn at the disk. */
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

/** How the work is spread out. */
export interface CheckSchedule {
  /** Does `work` in a transaction. */
  write: <Result>(work: () => Result) => Result | Promise<Result>
  /** Called between two steps. False: stop, and leave the rest to the next check. */
  pause: () => Promise<boolean>
}

/**
 * Deletes the types that no event has any more, and gives how many. There is no index on the type of a row, which every event would pay
 * for, so this reads the rows from the newest on until each type in question has an event; without one it reads all rows, some 0.5 s
 * of work a million. Safe beside inserts of this and of other processes: see `EventInserter`.
 */
export async function deleteUnusedTypes(db: Db, { write, pause }: CheckSchedule): Promise<number> {
  const begun = await write(() => beginCheck(db))
  if (begun.types.size === 0) return 0
  const open = new Map(begun.types)
  const first = db.prepare(sql.first).pluck()
  const used = db.prepare(sql.used).pluck()
  for (let to = begun.last; open.size > 0; ) {
    const from = first.get({ to, rows: rowsPerStep }) as number | null
    if (from === null) break
    for (const id of used.all({ from, to }) as number[]) open.delete(id)
    to = from - 1
    if (!(await pause())) return 0
  }
  let deleted = 0
  const all = [...begun.types]
  for (let at = 0; at < all.length; at += deletesPerStep) {
    const some = all.slice(at, at + deletesPerStep)
    deleted += await write(() => finishCheck(db, some, (id) => !open.has(id)))
    if (!(await pause())) break
  }
  return deleted
}

/** Whether a check has anything to do. */
export function hasUncheckedTypes(db: Db): boolean {
  return db.prepare(sql.checks).get({ limit: 1 }) !== undefined
}

/** From here on, whoever stores an event of one of these types counts it as a change of the type. */
function beginCheck(db: Db): { types: Map<number, number>; last: number } {
  const checks = db.prepare(sql.checks).raw().all({ limit: typesPerCheck }) as [number, number][]
  if (checks.length > 0) db.prepare(sql.begin).run()
  return { types: new Map(checks), last: db.prepare(sql.last).pluck().get() as number }
}

/** A type that changed during the check stays for the next one. */
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
