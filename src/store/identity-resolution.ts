import { dailyHashOn, latestDailyHash } from "./daily-hash.ts"
import type { Db } from "./db/driver.ts"

/*
 * Who an event belongs to. Reports, the page of a person, export and forgetting all follow this:
 *
 * - A visitor is an anonymous id. All events that carry it are the visitor's, whatever profile they name.
 * - A profile has the events that name it, and those that name no profile and carry an anonymous id which POST /identify linked to it,
 *   whether they happened before or after. An event that names another profile is that one's, though both used the device.
 * - If several profiles are linked to one anonymous id, its events that name none belong to each of them. With more than
 *   `mostProfilesOfVisitor` it is no device of a person but what some program sends for everybody: its events belong to those they name.
 * - Anonymous ids count as they are stored. Those that are stored as daily hashes also count, on their day, under the id itself: later
 *   nobody can tell whose they were, unless /identify linked the hash.
 *
 * Links are never taken back, but by forgetting.
 */

/** Two or three share a device; some twenty are a point of sale. */
export const maxProfilesPerVisitor = 20
/** Links that are read in one step, some ms. */
const linksPerStep = 5_000

const isShared = `
  (select count(*) from (
    select 1 from profile_links as other
    where other.website_rid = link.website_rid and other.anonymous_id = link.anonymous_id
    limit ${maxProfilesPerVisitor + 1}
  )) > ${maxProfilesPerVisitor}`

/** Conditions on `event_rows`, for `linkedIds` as JSON in `:anonymousIds`. */
export const isEventOf = {
  profile: `
    (profile_id = :profileId
      or (profile_id is null and anonymous_id in (select value from json_each(:anonymousIds))))`,
  visitor: "anonymous_id in (select value from json_each(:anonymousIds))",
}

const sql = {
  linkedIds: `
    select anonymous_id from profile_links as link
    where website_rid = :rid and profile_id = :profileId and not ${isShared}`,
  links: `
    select anonymous_id, profile_id from profile_links
    where website_rid = :rid and (anonymous_id, profile_id) > (:anonymousId, :profileId)
    order by anonymous_id, profile_id
    limit ${linksPerStep}`,
  latestProfile: `
    select profile_id from profile_links as link
    where website_rid = :rid and anonymous_id = :anonymousId and not ${isShared}
    order by linked_at desc, profile_id
    limit 1`,
}

/** The anonymous ids whose events without a profile are a profile's, as events have them. `now`: Unix ms; left out: on the latest day with hashes. */
export function linkedIds(db: Db, rid: number, profileId: string, now?: number): string[] {
  return withHashes(db, rid, db.prepare(sql.linkedIds).pluck().all({ rid, profileId }) as string[], now)
}

/** The same ids, and the hashes of that day under which events may have them. */
export function withHashes(db: Db, rid: number, anonymousIds: readonly string[], now?: number): string[] {
  const hash = now === undefined ? latestDailyHash(db) : dailyHashOn(db, now)
  return hash ? anonymousIds.flatMap((id) => [id, hash(id, rid)]) : [...anonymousIds]
}

/** The profile that an anonymous id was linked to last; undefined where there is none. */
export function latestProfileOf(db: Db, rid: number, anonymousId: string): string | undefined {
  return db.prepare(sql.latestProfile).pluck().get({ rid, anonymousId }) as string | undefined
}

/** An anonymous id, as events have it, and the profiles to which its events without a profile belong. */
export type LinkedVisitor = [anonymousId: string, profileIds: string[]]

/** All of a website, some at a time. */
export function* linkedVisitors(db: Db, rid: number): Generator<LinkedVisitor[]> {
  const links = db.prepare(sql.links).raw()
  let [anonymousId, profileId] = ["", ""]
  let open: LinkedVisitor | undefined
  for (;;) {
    const some = links.all({ rid, anonymousId, profileId }) as [string, string][]
    const done: LinkedVisitor[] = []
    for (const [visitor, profile] of some) {
      if (open?.[0] !== visitor) {
        if (open) done.push(open)
        open = [visitor, []]
      }
      // One more than can count says that none does.
      if (open[1].length <= maxProfilesPerVisitor) open[1].push(profile)
    }
    const last = some.at(-1)
    const isEnd = !last || some.length < linksPerStep
    if (isEnd && open) done.push(open)
    const personal = done.filter(([, profiles]) => profiles.length <= maxProfilesPerVisitor)
    const hashes = withHashes(
      db,
      rid,
      personal.map(([id]) => id),
    )
    const perVisitor = hashes.length / Math.max(1, personal.length)
    yield hashes.map((id, index) => [id, personal[Math.floor(index / perVisitor)]?.[1] ?? []])
    if (isEnd) return
    ;[anonymousId, profileId] = last
  }
}
