import { dailyHashOn, latestDailyHash } from "./daily-hash.ts"
import type { Db } from "./db/driver.ts"

/*
 * Identity resolution determines the visitor and the profile to which an event belongs. Reports, the person page,
 * export and deletion all follow the same rules:
 *
 * - A visitor is an anonymous ID. All events with that ID belong to the visitor, regardless of the profile they name.
 * - Events that name a profile belong to it. Events that name no profile also belong to it if a key linked their
 *   anonymous ID to the profile with POST /identify, before or after the event. An event that names a different profile
 *   belongs to that profile, even if both people used the same device.
 * - If several profiles are linked to an anonymous ID, its events without a profile belong to each of them. With more
 *   than `maxProfilesPerVisitor` profiles, the ID is not a personal device but a constant sent by a program, and its
 *   events only belong to the profiles they name.
 * - Anonymous IDs are compared as stored. An ID stored as a daily hash also matches the plain ID until the end of the
 *   day of the hash. After that day, the two cannot be connected unless /identify linked the hash.
 *
 * A link is either made by a key or claimed by a page. Anyone can claim a link, so these rules ignore claims: a claim
 * does not assign events to a profile, and does not include them when a profile is deleted or exported. An anonymous ID
 * never has both kinds of links: a link made by a key replaces claims, and later claims are not stored. Apart from
 * that, links are only removed when a person or a website is deleted.
 */

/**
 * Maximum number of profiles of a personal device. Two or three people can share one. An ID with more than twenty
 * profiles belongs to a shared terminal, such as a point of sale, or is a constant sent by a program.
 */
const maxProfilesPerVisitor = 20
/** Number of links per read. A read takes a few ms. */
const linksPerStep = 5_000

const isShared = `
  (select count(*) from (
    select 1 from profile_links as other
    where other.website_rid = link.website_rid and other.anonymous_id = link.anonymous_id
    limit ${maxProfilesPerVisitor + 1}
  )) > ${maxProfilesPerVisitor}`

/**
 * SQL conditions on `event_rows`. `:storedIds` is a JSON array with the stored forms of the anonymous IDs (see
 * texts.ts).
 */
export const isEventOf = {
  profile: `
    (profile_id = :profileId
      or (profile_id is null and anonymous_id in (select value from json_each(:storedIds))))`,
  visitor: "anonymous_id in (select value from json_each(:storedIds))",
}

const sql = {
  linkedIds: `
    select anonymous_id from profile_links as link
    where website_rid = :rid and profile_id = :profileId and claimed = 0 and not ${isShared}`,
  links: `
    select anonymous_id, profile_id from profile_links
    where website_rid = :rid and (anonymous_id, profile_id) > (:anonymousId, :profileId) and claimed = 0
    order by anonymous_id, profile_id
    limit ${linksPerStep}`,
  latestProfile: `
    select profile_id from profile_links as link
    where website_rid = :rid and anonymous_id = :anonymousId and claimed = 0 and not ${isShared}
    order by linked_at desc, profile_id
    limit 1`,
}

/**
 * Returns the stored anonymous IDs whose events without a profile belong to the profile. This includes the hashes of
 * the IDs for the day of `now` (Unix ms), or for the latest day with hashes if `now` is undefined.
 */
export function linkedIds(db: Db, rid: number, profileId: string, now?: number): string[] {
  return withHashes(db, rid, db.prepare(sql.linkedIds).pluck().all({ rid, profileId }) as string[], now)
}

/**
 * Returns the IDs and the hash of each ID, for the day of `now` (Unix ms), or for the latest day with hashes if `now`
 * is undefined.
 */
export function withHashes(db: Db, rid: number, anonymousIds: readonly string[], now?: number): string[] {
  const hash = now === undefined ? latestDailyHash(db) : dailyHashOn(db, now)
  return hash ? anonymousIds.flatMap((id) => [id, hash(id, rid)]) : [...anonymousIds]
}

/** Returns the profile to which a key last linked an anonymous ID, or undefined if there is none. */
export function latestProfileOf(db: Db, rid: number, anonymousId: string): string | undefined {
  return db.prepare(sql.latestProfile).pluck().get({ rid, anonymousId }) as string | undefined
}

/** A stored anonymous ID, and the profiles to which its events without a profile belong. */
export type LinkedVisitor = [anonymousId: string, profileIds: string[]]

/**
 * Yields the visitors of a website that were linked with a key, in batches. Leaves out IDs with more than
 * `maxProfilesPerVisitor` profiles.
 */
export function* linkedVisitors(db: Db, rid: number): Generator<LinkedVisitor[]> {
  const links = db.prepare(sql.links).raw()
  let [anonymousId, profileId] = ["", ""]
  let current: LinkedVisitor | undefined
  for (;;) {
    const batch = links.all({ rid, anonymousId, profileId }) as [string, string][]
    const done: LinkedVisitor[] = []
    for (const [visitor, profile] of batch) {
      if (current?.[0] !== visitor) {
        if (current) done.push(current)
        current = [visitor, []]
      }
      // One profile more than the maximum marks the ID as shared. The remaining profiles are not needed.
      if (current[1].length <= maxProfilesPerVisitor) current[1].push(profile)
    }
    const last = batch.at(-1)
    const isEnd = !last || batch.length < linksPerStep
    if (isEnd && current) done.push(current)
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
