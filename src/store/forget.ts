import { runToEnd } from "../steps.ts"
import type { Db } from "./db/driver.ts"
import { type DatabaseFiles, overwriteUnallocatedSpace } from "./db/unallocated-space.ts"
import { sweepPause, sweepRows } from "./events.ts"
import { isEventOf, linkedIds, withHashes } from "./identity-resolution.ts"
import { deleteRemovedEvents, type RemovedEvent } from "./removed-days.ts"
import { storedForms, storedFormsOf, textOf } from "./texts.ts"
import { checksNeeded, deleteUnusedTypes, typeCheckPause } from "./unused-event-types.ts"
import { eraseUnusedIds, type IdTexts } from "./unused-ids.ts"

/** A person on one website, identified by an anonymous ID or a profile ID. */
export interface Person {
  websiteRid: number
  id: { anonymousId: string } | { profileId: string }
}

export interface PersonCounts {
  events: number
  profiles: number
  links: number
}

export interface Forgotten extends PersonCounts {
  /** Number of events that were removed from the file and have yet to be deleted in the cluster. */
  removedEvents: number
  /** True if the deleted bytes have been overwritten in the file. */
  overwritten: boolean
}

/** Determines how the steps of `forgetPerson` run. */
export interface ForgetSchedule {
  /** Runs `work` in a transaction, between other writes. */
  write: <Result>(work: () => Result) => Result | Promise<Result>
  sleep: (ms: number) => Promise<void>
  /** Called with the total number of events scanned so far. */
  onProgress?: (events: number) => void
}

/** Number of events per scan step. A step does not take a lock, but blocks the thread for about 5 ms. */
const rowsPerScan = 2_000
/** Pause between scan steps, in ms. */
const scanPause = 1
/**
 * Maximum number of attempts for a step that a reader or another process's commit blocks, and the longest pause between
 * attempts in ms. Most readers and commits finish quickly.
 */
const maxAttempts = 50
const maxRetryPause = 100
/** Pause between steps that overwrite unallocated space, in ms, so that new events get the disk and the lock. */
const overwritePause = 2
/**
 * Number of stale blocks to clear per transaction. A transaction takes about 10 ms, because a block's layout has up to
 * 1,000 property keys.
 */
const blocksPerStep = 64

const sql = {
  linked: "select anonymous_id from profile_links where website_rid = :rid and profile_id = :profileId",
  profiles: "select count(*) from profiles where website_rid = :rid and profile_id = :profileId",
  visitorsLinks: `
    select count(*) from profile_links
    where website_rid = :rid and anonymous_id in (select value from json_each(:anonymousIds))`,
  last: "select coalesce(max(id), 0) from event_rows",
  scan: (condition: string) => `
    select id, website_rid = :rid and (${condition}) from event_rows
    where id > :after and id <= :last
    order by id
    limit :limit`,
  deleteEvents: (condition: string) => `
    delete from event_rows
    where id in (select value from json_each(:ids)) and website_rid = :rid and ${condition}
    returning ${textOf("anonymous_id")}, profile_id`,
  // All rids that the website has ever had: if it was deleted and recreated, old rows might still exist.
  websites: "select rid from websites where id = :websiteId",
  holds: (condition: string) => `
    select exists (select 1 from event_rows where website_rid = :rid and ${condition})`,
  deleteProfile: "delete from profiles where website_rid = :rid and profile_id = :profileId",
  deleteProfilesLinks: "delete from profile_links where website_rid = :rid and profile_id = :profileId",
  deleteVisitorsLinks: `
    delete from profile_links
    where website_rid = :rid and anonymous_id in (select value from json_each(:anonymousIds))`,
  // The layout of a stale block is never read. The quarters of all slices are stored in one value, so they cannot be
  // kept if a slice is deleted.
  clearStaleBlocks: `
    update blocks set
      layout = '',
      quarters = null,
      name = iif(exists (select 1 from event_types as t where t.name = blocks.name), name, ''),
      slices = iif(slices is null, null, (
        select json_group_array(json(slice.value)) from json_each(slices) as slice
        where exists (select 1 from event_types as t where t.name = slice.value ->> 0)))
    where id in (
      select id from blocks where (stale > 0 or website_rid < 0) and stale > 0 and layout <> '' limit ${blocksPerStep})`,
}

/** Yields the IDs of the events that `forgetPerson` would delete at `now` (Unix ms), in batches. */
export async function* eventsOfPerson(
  db: Db,
  person: Person,
  now: number,
  schedule: Pick<ForgetSchedule, "sleep">,
): AsyncGenerator<number[]> {
  yield* eventsOf(db, await personFilter(db, person, now, schedule), schedule)
}

/** Counts what `forgetPerson` would delete at `now` (Unix ms). */
export async function countPerson(
  db: Db,
  person: Person,
  now: number,
  schedule: ForgetSchedule,
): Promise<PersonCounts> {
  const filter = await personFilter(db, person, now, schedule)
  let events = 0
  for await (const ids of eventsOf(db, filter, schedule)) events += ids.length
  return { events, ...countProfileAndLinks(db, filter) }
}

/**
 * Deletes the events of a person, the person's IDs in the dictionary unless other events have them, and the person's
 * links and profile. Then deletes event names and property keys that no other event has. identity-resolution.ts defines
 * which events belong to a person. The claimed links of a profile are deleted too, but not the events of the anonymous
 * IDs in these links. If the person is an anonymous ID, its links are deleted, but not the linked profiles. Events that
 * were received on the UTC day of `now` (Unix ms) are also found by their daily hash.
 *
 * Deleted bytes are overwritten: cells and pages by `secure_delete`, and copies of cells in pages by
 * `overwriteUnallocatedSpace`, which also truncates the -wal and takes the descriptor of the file from `files`.
 * `overwritten` is false if that function gave up.
 *
 * Events that arrive during the call might remain. If the call is interrupted, call it again to finish.
 *
 * `findRemoved` finds the person's events that were removed from the file. Queries exclude them immediately, and the
 * cluster deletes them later.
 */
export async function forgetPerson(
  db: Db,
  files: DatabaseFiles,
  person: Person,
  now: number,
  schedule: ForgetSchedule,
  findRemoved: () => Promise<readonly RemovedEvent[]> = async () => [],
): Promise<Forgotten> {
  // This step comes first, so that nothing is deleted if the cluster does not respond.
  let removedEvents = await forgetRemoved(db, person, await findRemoved(), schedule)
  const filter = await personFilter(db, person, now, schedule)
  const remove = db.prepare(sql.deleteEvents(filter.match)).raw()
  const personIds = idsOf(filter)
  let events = 0
  for await (const ids of eventsOf(db, filter, schedule)) {
    for (let from = 0; from < ids.length; from += sweepRows) {
      const batch = JSON.stringify(ids.slice(from, from + sweepRows))
      const deleted = await schedule.write(() => remove.all({ ...filter.values, ids: batch }) as DeletedIds[])
      for (const [visitor, profile] of deleted) {
        if (visitor !== null) personIds.visitors.add(visitor)
        if (profile !== null) personIds.profiles.add(profile)
      }
      events += deleted.length
      await schedule.sleep(sweepPause)
    }
  }
  // More events might have been removed from the file since the first search.
  removedEvents += await forgetRemoved(db, person, await findRemoved(), schedule)
  // This step runs before the links are deleted, so that the next call can still find the IDs through the links if this
  // call is interrupted.
  await eraseUnusedIds(db, personIds, schedule)
  const profileAndLinks = await schedule.write(() => {
    const ids = storedIdsOf(db, person, now)
    return deleteProfileAndLinks(db, filterOf(person, ids, ids))
  })
  const pause = async () => {
    await schedule.sleep(typeCheckPause)
    return true
  }
  for (let checks = checksNeeded(db); checks > 0; checks--)
    await deleteUnusedTypes(db, { write: schedule.write, pause })
  const clear = db.prepare(sql.clearStaleBlocks)
  while ((await schedule.write(() => clear.run().changes)) > 0) await schedule.sleep(sweepPause)
  const overwritten = await overwriteUnallocatedSpace(db, files, {
    retry: async (step) => {
      for (let attempt = 1; !step(); attempt++) {
        if (attempt === maxAttempts) return false
        await schedule.sleep(Math.min(maxRetryPause, 2 ** attempt))
      }
      return true
    },
    pause: () => schedule.sleep(overwritePause),
  })
  return { events, ...profileAndLinks, removedEvents, overwritten }
}

/** Queues events that were removed from the file for deletion in the cluster, and returns how many were queued. */
async function forgetRemoved(
  db: Db,
  { websiteRid }: Person,
  removed: readonly RemovedEvent[],
  schedule: ForgetSchedule,
): Promise<number> {
  let deleted = 0
  for (let from = 0; from < removed.length; from += sweepRows) {
    const some = removed.slice(from, from + sweepRows)
    deleted += await schedule.write(() => deleteRemovedEvents(db, websiteRid, some))
    await schedule.sleep(sweepPause)
  }
  return deleted
}

/**
 * Returns the anonymous IDs by which `forgetPerson` finds events at `now` (Unix ms): the linked IDs, or the person's
 * own ID, and their daily hashes.
 */
export function storedIdsOf(db: Db, { websiteRid: rid, id }: Person, now: number): string[] {
  return "profileId" in id
    ? linkedIds(db, rid, id.profileId, now)
    : withHashes(db, rid, [id.anonymousId], now)
}

/**
 * Returns true if a copy of the database contains data of a person. `known` (from `storedIdsOf`) finds events whose
 * links are not in the copy. Scans all events of the website in one statement, which takes 0.2 s per million events if
 * the file is in the page cache.
 */
export function holdsPerson(db: Db, websiteId: string, id: Person["id"], known: string[]): boolean {
  const rids = db.prepare(sql.websites).pluck().all({ websiteId }) as number[]
  return rids.some((rid) => {
    const linked = "profileId" in id ? linkedIds(db, rid, id.profileId) : []
    const ids = [...known, ...linked]
    const filter = filterOf({ websiteRid: rid, id }, ids, runToEnd(storedFormsOf(db, ids)).keys())
    const { profiles, links } = countProfileAndLinks(db, filter)
    return profiles > 0 || links > 0 || db.prepare(sql.holds(filter.match)).pluck().get(filter.values) === 1
  })
}

/** The IDs of a deleted event. */
type DeletedIds = [anonymousId: string | null, profileId: string | null]

interface PersonFilter {
  /**
   * `anonymousIds` and `storedIds` are JSON arrays. `storedIds` contains the anonymous IDs in the form in which event
   * rows store them.
   */
  values: { rid: number; profileId: string | null; anonymousIds: string; storedIds: string }
  /** SQL condition that an event belongs to the person. */
  match: string
}

async function personFilter(
  db: Db,
  person: Person,
  now: number,
  { sleep }: Pick<ForgetSchedule, "sleep">,
): Promise<PersonFilter> {
  const ids = storedIdsOf(db, person, now)
  const forms = await storedForms(db, ids, () => sleep(scanPause))
  return filterOf(person, ids, forms.keys())
}

function filterOf(
  { websiteRid: rid, id }: Person,
  anonymousIds: readonly string[],
  storedForms: Iterable<string | number>,
): PersonFilter {
  const profileId = "profileId" in id ? id.profileId : null
  return {
    values: {
      rid,
      profileId,
      anonymousIds: JSON.stringify(anonymousIds),
      storedIds: JSON.stringify([...storedForms]),
    },
    match: profileId === null ? isEventOf.visitor : isEventOf.profile,
  }
}

function idsOf({ values: { profileId, anonymousIds } }: PersonFilter): IdTexts {
  // The type assertion is safe because `filterOf` wrote this JSON.
  const visitors = new Set(JSON.parse(anonymousIds) as string[])
  return { visitors, profiles: new Set(profileId === null ? [] : [profileId]) }
}

/** Yields the IDs of the person's events in batches. Scans all events, because there is no index on visitors. */
async function* eventsOf(
  db: Db,
  { values, match }: PersonFilter,
  schedule: Pick<ForgetSchedule, "sleep" | "onProgress">,
): AsyncGenerator<number[]> {
  const scan = db.prepare(sql.scan(match)).raw()
  // Without this limit, new events could prevent the scan from ever ending.
  const last = db.prepare(sql.last).pluck().get() as number
  let [after, scanned] = [0, 0]
  for (;;) {
    const rows = scan.all({ ...values, after, last, limit: rowsPerScan }) as [
      id: number,
      matches: number | null,
    ][]
    const end = rows.at(-1)
    if (!end) return
    after = end[0]
    const ids = rows.filter(([, matches]) => matches).map(([id]) => id)
    if (ids.length > 0) yield ids
    scanned += rows.length
    schedule.onProgress?.(scanned)
    await schedule.sleep(scanPause)
  }
}

function countProfileAndLinks(db: Db, { values }: PersonFilter): Omit<PersonCounts, "events"> {
  const count = (text: string) => db.prepare(text).pluck().get(values) as number
  if (values.profileId === null) return { profiles: 0, links: count(sql.visitorsLinks) }
  return { profiles: count(sql.profiles), links: db.prepare(sql.linked).all(values).length }
}

function deleteProfileAndLinks(db: Db, { values }: PersonFilter): Omit<PersonCounts, "events"> {
  const remove = (text: string) => db.prepare(text).run(values).changes
  if (values.profileId === null) return { profiles: 0, links: remove(sql.deleteVisitorsLinks) }
  return { profiles: remove(sql.deleteProfile), links: remove(sql.deleteProfilesLinks) }
}
