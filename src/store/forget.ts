import type { Db } from "./db/driver.ts"
import { truncateWal } from "./db/open.ts"
import { sweepPause, sweepRows } from "./events.ts"
import { isEventOf, linkedIds, withHashes } from "./identity-resolution.ts"
import { deleteUnusedTypes, typeCheckPause } from "./unused-types.ts"

/** Who is to be forgotten on a website. */
export interface Person {
  websiteRid: number
  id: { anonymousId: string } | { profileId: string }
}

export interface PersonCounts {
  events: number
  profiles: number
  links: number
}

/** How the work is spread out. */
export interface ForgetSchedule {
  /** Does `work` in a transaction, beside whatever else is written. */
  write: <Result>(work: () => Result) => Result | Promise<Result>
  sleep: (ms: number) => Promise<void>
  /** Told how many of the website's events were looked at. */
  onProgress?: (events: number) => void
}

/** Events that are looked at in one go, without a lock: some 5 ms, in which the thread does nothing else. */
const rowsPerScan = 2_000
/** ms between two such looks. */
const scanPause = 1
/** Tries to empty the -wal, 100 ms apart: a reader holds it up, and most are done soon. */
const maxWalAttempts = 50
const walPause = 100

const sql = {
  linked: "select anonymous_id from profile_links where website_rid = :rid and profile_id = :profileId",
  profiles: "select count(*) from profiles where website_rid = :rid and profile_id = :profileId",
  visitorsLinks: `
    select count(*) from profile_links
    where website_rid = :rid and anonymous_id in (select value from json_each(:anonymousIds))`,
  look: (isTheirs: string) => `
    select ts, id, ${isTheirs} from event_rows
    where website_rid = :rid and (ts, id) > (:ts, :id)
    order by ts, id
    limit :limit`,
  deleteEvents: (isTheirs: string) => `
    delete from event_rows
    where id in (select value from json_each(:ids)) and website_rid = :rid and ${isTheirs}`,
  // Of all times: where a website was deleted and made anew, its rows may be there still.
  websites: "select rid from websites where id = :websiteId",
  holds: (isTheirs: string) => `
    select exists (select 1 from event_rows where website_rid = :rid and ${isTheirs})`,
  deleteProfile: "delete from profiles where website_rid = :rid and profile_id = :profileId",
  deleteProfilesLinks: "delete from profile_links where website_rid = :rid and profile_id = :profileId",
  deleteVisitorsLinks: `
    delete from profile_links
    where website_rid = :rid and anonymous_id in (select value from json_each(:anonymousIds))`,
}

/** The ids of the events of a person that `forgetPerson` would delete now (Unix ms), some at a time. */
export function eventsOfPerson(
  db: Db,
  person: Person,
  now: number,
  pace: Pick<ForgetSchedule, "sleep">,
): AsyncGenerator<number[]> {
  return eventsOf(db, personFilter(db, person, now), pace)
}

/** What `forgetPerson` would delete now (Unix ms). */
export async function countPerson(
  db: Db,
  person: Person,
  now: number,
  pace: ForgetSchedule,
): Promise<PersonCounts> {
  const theirs = personFilter(db, person, now)
  let events = 0
  for await (const ids of eventsOf(db, theirs, pace)) events += ids.length
  return { events, ...countProfileAndLinks(db, theirs) }
}

/**
 * Deletes a person's events, then links and profile, then names and property keys that no other event has; every connection overwrites what it deletes, and the -wal is emptied; ids that
 * SQLite moved when it split a page of an index may stay in the unused middle of the old page until a vacuum. Which events those are: see src/store/identity-resolution.ts. With
 * a profile go its links and itself, with an anonymous id its links; no profile goes with it. Today's events (`now`: Unix ms) are found by the day's hash too. Events that arrive
 * meanwhile may stay. Stopped half-way, the same call does the rest. `overwritten`: false where the -wal could not be emptied.
 */
export async function forgetPerson(
  db: Db,
  person: Person,
  now: number,
  pace: ForgetSchedule,
): Promise<PersonCounts & { overwritten: boolean }> {
  const theirs = personFilter(db, person, now)
  const remove = db.prepare(sql.deleteEvents(theirs.match))
  let events = 0
  for await (const ids of eventsOf(db, theirs, pace)) {
    for (let from = 0; from < ids.length; from += sweepRows) {
      const some = JSON.stringify(ids.slice(from, from + sweepRows))
      const { changes } = await pace.write(() => remove.run({ ...theirs.values, ids: some }))
      events += changes
      await pace.sleep(sweepPause)
    }
  }
  const rest = await pace.write(() => deleteProfileAndLinks(db, personFilter(db, person, now)))
  const rested = async () => {
    await pace.sleep(typeCheckPause)
    return true
  }
  await deleteUnusedTypes(db, { write: pace.write, pause: rested })
  let overwritten = truncateWal(db)
  for (let tries = 1; !overwritten && tries < maxWalAttempts; tries++) {
    await pace.sleep(walPause)
    overwritten = truncateWal(db)
  }
  return { events, ...rest, overwritten }
}

/** The ids under which `forgetPerson` would find their events now (Unix ms): of the links, and today's hashes of them. */
export function storedIdsOf(db: Db, person: Person, now: number): string[] {
  return JSON.parse(personFilter(db, person, now).values.anonymousIds) as string[]
}

/**
 * Whether a copy of the database has anything of a person, also of one whom `known` (of `idsOf`) alone still leads to. Looks at every
 * event of the website in one go: 0.2 s a million where the file is in memory.
 */
export function holdsPerson(db: Db, websiteId: string, id: Person["id"], known: string[]): boolean {
  const rids = db.prepare(sql.websites).pluck().all({ websiteId }) as number[]
  return rids.some((rid) => {
    const profileId = "profileId" in id ? id.profileId : null
    const links = profileId === null ? [] : linkedIds(db, rid, profileId)
    const values = { rid, profileId, anonymousIds: JSON.stringify([...known, ...links]) }
    const theirs = { values, match: profileId === null ? isEventOf.visitor : isEventOf.profile }
    const { profiles, links: linked } = countProfileAndLinks(db, theirs)
    return profiles > 0 || linked > 0 || db.prepare(sql.holds(theirs.match)).pluck().get(values) === 1
  })
}

interface PersonFilter {
  values: { rid: number; profileId: string | null; anonymousIds: string }
  /** The condition that an event is theirs. */
  match: string
}

function personFilter(db: Db, { websiteRid: rid, id }: Person, now: number): PersonFilter {
  const profileId = "profileId" in id ? id.profileId : null
  const ids =
    "profileId" in id ? linkedIds(db, rid, id.profileId, now) : withHashes(db, rid, [id.anonymousId], now)
  return {
    values: { rid, profileId, anonymousIds: JSON.stringify(ids) },
    match: profileId === null ? isEventOf.visitor : isEventOf.profile,
  }
}

/** The ids of their events, some at a time, by way of all events of the website: there is no index by visitor. */
async function* eventsOf(
  db: Db,
  { values, match }: PersonFilter,
  pace: Pick<ForgetSchedule, "sleep" | "onProgress">,
): AsyncGenerator<number[]> {
  const look = db.prepare(sql.look(match)).raw()
  let [ts, id, seen] = [Number.MIN_SAFE_INTEGER, 0, 0]
  for (;;) {
    const rows = look.all({ ...values, ts, id, limit: rowsPerScan }) as [number, number, number | null][]
    const last = rows.at(-1)
    if (!last) return
    ;[ts, id] = last
    const ids = rows.filter((row) => row[2]).map((row) => row[1])
    if (ids.length > 0) yield ids
    seen += rows.length
    pace.onProgress?.(seen)
    await pace.sleep(scanPause)
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
