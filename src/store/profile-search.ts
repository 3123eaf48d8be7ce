import { RequestError } from "../errors.ts"
import type { Db } from "./db/driver.ts"
import type { Traits } from "./profiles.ts"

/** An identified user, as people look them up. */
export interface FoundProfile {
  profileId: string
  email: string | null
  name: string | null
  username: string | null
  traits: Traits
  /** Unix ms, as every …At. */
  createdAt: number
  updatedAt: number
  /** The anonymous ids that were seen to be theirs, the newest first. */
  anonymousIds: string[]
}

export interface ProfileSearch {
  websiteRid: number
  /** What is to be contained, in either case; '': every profile is found. */
  search: string
  limit: number
  offset: number
}

/** Profiles that are looked at in one go: some 2 ms, in which the thread does nothing else. */
const profilesPerRead = 1_000
/** Anonymous ids of a profile that are searched, and those that are given. Most have two or three; some program makes thousands. */
const maxSearchedIds = 1_000
const maxReturnedIds = 100
/** Profiles in the order of a search that can be asked for: more are put in order at once, and nobody reads them. */
export const maxSearchResults = 10_000

const sql = {
  count: "select count(*) from profiles where website_rid = :rid",
  newestProfiles: `
    select profile_id from profiles
    where website_rid = :rid
    order by updated_at desc, profile_id
    limit :limit offset :offset`,
  look: `
    select
      profile_id,
      updated_at,
      concat_ws(char(10), profile_id, email, name, username, (
        select group_concat(anonymous_id, char(10))
        from (
          select anonymous_id from profile_links
          where website_rid = profiles.website_rid and profile_id = profiles.profile_id
          limit ${maxSearchedIds}
        )
      ))
    from profiles
    where website_rid = :rid and profile_id > :after
    order by profile_id
    limit ${profilesPerRead}`,
  profile: `
    select
      profile_id as profileId, email, name, username, traits, created_at as createdAt, updated_at as updatedAt
    from profiles
    where website_rid = :rid and profile_id = :profileId`,
  // SQLite would look through all links of the website, whose order holds linked_at too.
  anonymousIds: `
    select anonymous_id from profile_links indexed by profile_links_profile
    where website_rid = :rid and profile_id = :profileId
    order by linked_at desc, anonymous_id
    limit ${maxReturnedIds}`,
}

/**
 * Profiles, the one updated last first. Without a search they are read in their order; with one, all of the website's are
 * looked through in steps of some ms, with a `rest` between two: half a second of work for 300,000.
 */
export async function findProfiles(
  db: Db,
  { websiteRid: rid, search, limit, offset }: ProfileSearch,
  pause: () => Promise<void>,
): Promise<{ profiles: FoundProfile[]; total: number }> {
  const { ids, total } =
    search === ""
      ? newest(db, rid, limit, offset)
      : await matchingProfiles(db, rid, search, { limit, offset }, pause)
  const look = profileReader(db, rid)
  return { profiles: ids.flatMap((profileId) => look(profileId) ?? []), total }
}

/** Throws `profile_unknown`. */
export function findProfile(db: Db, websiteRid: number, profileId: string): FoundProfile {
  const profile = profileReader(db, websiteRid)(profileId)
  if (!profile) throw new RequestError("profile_unknown", { detail: `no profile has the id ${profileId}` })
  return profile
}

function newest(db: Db, rid: number, limit: number, offset: number): { ids: string[]; total: number } {
  const total = db.prepare(sql.count).pluck().get({ rid }) as number
  return { ids: db.prepare(sql.newestProfiles).pluck().all({ rid, limit, offset }) as string[], total }
}

/** By way of their ids, whose order nobody changes meanwhile. */
async function matchingProfiles(
  db: Db,
  rid: number,
  search: string,
  { limit, offset }: { limit: number; offset: number },
  pause: () => Promise<void>,
): Promise<{ ids: string[]; total: number }> {
  const look = db.prepare(sql.look).raw()
  const sought = search.toLowerCase()
  const page = offset + limit
  let found: { id: string; updatedAt: number }[] = []
  let total = 0
  for (let after = ""; ; ) {
    const rows = look.all({ rid, after }) as [id: string, updatedAt: number, text: string][]
    for (const [id, updatedAt, text] of rows) {
      if (!text.toLowerCase().includes(sought)) continue
      total++
      found.push({ id, updatedAt })
    }
    // What cannot be on the page any more is let go, now and then.
    if (found.length > 2 * page + profilesPerRead) found = newestFirst(found).slice(0, page)
    const last = rows.at(-1)
    if (!last || rows.length < profilesPerRead) break
    after = last[0]
    await pause()
  }
  return {
    ids: newestFirst(found)
      .slice(offset, page)
      .map(({ id }) => id),
    total,
  }
}

function newestFirst<One extends { id: string; updatedAt: number }>(found: One[]): One[] {
  return found.sort((one, other) => other.updatedAt - one.updatedAt || (one.id < other.id ? -1 : 1))
}

type ProfileRow = Omit<FoundProfile, "traits" | "anonymousIds"> & { traits: string }

function profileReader(db: Db, rid: number): (profileId: string) => FoundProfile | undefined {
  const profile = db.prepare(sql.profile)
  const anonymousIds = db.prepare(sql.anonymousIds).pluck()
  return (profileId) => {
    const row = profile.get({ rid, profileId }) as ProfileRow | undefined
    if (!row) return undefined
    const ids = anonymousIds.all({ rid, profileId }) as string[]
    return { ...row, traits: JSON.parse(row.traits), anonymousIds: ids }
  }
}
