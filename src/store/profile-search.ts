import { RequestError } from "../errors.ts"
import type { Db } from "./db/driver.ts"
import type { Traits } from "./profiles.ts"

/** A profile in search results. */
export interface FoundProfile {
  profileId: string
  email: string | null
  name: string | null
  username: string | null
  traits: Traits
  /** In Unix ms, like all `…At` fields. */
  createdAt: number
  updatedAt: number
  /** Linked anonymous IDs, newest link first. */
  anonymousIds: string[]
  /** The traits that were sent only by a page. */
  claimedTraits: string[]
  /** The IDs in `anonymousIds` that were linked only by a page. */
  claimedAnonymousIds: string[]
}

export interface ProfileSearch {
  websiteRid: number
  /** A case-insensitive substring. '' matches every profile. */
  search: string
  limit: number
  offset: number
}

/** Number of profiles per read. A read blocks the thread for about 2 ms. */
const profilesPerRead = 1_000
/**
 * Maximum number of anonymous IDs per profile that are searched, and that are returned. Most profiles have two or
 * three, but profiles created by programs can have thousands.
 */
const maxSearchedIds = 1_000
const maxReturnedIds = 100
/** Maximum of `offset + limit` in a search. It limits how many results are sorted in memory, and nobody reads more. */
export const maxSearchResults = 10_000

const sql = {
  count: "select count(*) from profiles where website_rid = :rid",
  newestProfiles: `
    select profile_id from profiles
    where website_rid = :rid
    order by updated_at desc, profile_id
    limit :limit offset :offset`,
  scan: `
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
      profile_id as profileId, email, name, username, traits, claimed, created_at as createdAt,
      updated_at as updatedAt
    from profiles
    where website_rid = :rid and profile_id = :profileId`,
  // Without the hint, SQLite would choose the primary key, which also covers linked_at, and scan all links of the
  // website.
  anonymousIds: `
    select anonymous_id as id, claimed from profile_links indexed by profile_links_profile
    where website_rid = :rid and profile_id = :profileId
    order by linked_at desc, anonymous_id
    limit ${maxReturnedIds}`,
}

/**
 * Finds profiles, most recently updated first. If `search` is empty, reads them from an index. Otherwise, scans all
 * profiles of the website in steps of a few ms, with a `pause` between steps. A scan of 300,000 profiles takes half a
 * second.
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
  const read = profileReader(db, rid)
  return { profiles: ids.flatMap((profileId) => read(profileId) ?? []), total }
}

/** Returns a profile. Throws `profile_unknown` if it does not exist. */
export function findProfile(db: Db, websiteRid: number, profileId: string): FoundProfile {
  const profile = profileReader(db, websiteRid)(profileId)
  if (!profile) throw new RequestError("profile_unknown", { detail: `no profile has the ID ${profileId}` })
  return profile
}

/** Returns the existing profiles with these IDs, without duplicates. */
export function profilesById(db: Db, rid: number, ids: readonly string[]): FoundProfile[] {
  const read = profileReader(db, rid)
  return [...new Set(ids)].flatMap((id) => read(id) ?? [])
}

function newest(db: Db, rid: number, limit: number, offset: number): { ids: string[]; total: number } {
  const total = db.prepare(sql.count).pluck().get({ rid }) as number
  return { ids: db.prepare(sql.newestProfiles).pluck().all({ rid, limit, offset }) as string[], total }
}

/**
 * Returns the IDs of the matching profiles on a page, and the number of all matching profiles. Scans in order of
 * profile ID, because updates do not change this order.
 */
async function matchingProfiles(
  db: Db,
  rid: number,
  search: string,
  { limit, offset }: { limit: number; offset: number },
  pause: () => Promise<void>,
): Promise<{ ids: string[]; total: number }> {
  const scan = db.prepare(sql.scan).raw()
  const needle = search.toLowerCase()
  const page = offset + limit
  let matches: { id: string; updatedAt: number }[] = []
  let total = 0
  for (let after = ""; ; ) {
    const rows = scan.all({ rid, after }) as [id: string, updatedAt: number, text: string][]
    for (const [id, updatedAt, text] of rows) {
      if (!text.toLowerCase().includes(needle)) continue
      total++
      matches.push({ id, updatedAt })
    }
    // To limit memory, drops matches that cannot be on the page.
    if (matches.length > 2 * page + profilesPerRead) matches = newestFirst(matches).slice(0, page)
    const last = rows.at(-1)
    if (!last || rows.length < profilesPerRead) break
    after = last[0]
    await pause()
  }
  return {
    ids: newestFirst(matches)
      .slice(offset, page)
      .map(({ id }) => id),
    total,
  }
}

function newestFirst<Match extends { id: string; updatedAt: number }>(matches: Match[]): Match[] {
  return matches.sort((a, b) => b.updatedAt - a.updatedAt || (a.id < b.id ? -1 : 1))
}

type ProfileRow = Pick<
  FoundProfile,
  "profileId" | "email" | "name" | "username" | "createdAt" | "updatedAt"
> & { traits: string; claimed: string }

function profileReader(db: Db, rid: number): (profileId: string) => FoundProfile | undefined {
  const profile = db.prepare(sql.profile)
  const links = db.prepare(sql.anonymousIds)
  return (profileId) => {
    const found = profile.get({ rid, profileId }) as ProfileRow | undefined
    if (!found) return undefined
    const { claimed, ...row } = found
    const ids = links.all({ rid, profileId }) as { id: string; claimed: 0 | 1 }[]
    return {
      ...row,
      traits: JSON.parse(row.traits),
      anonymousIds: ids.map(({ id }) => id),
      claimedTraits: JSON.parse(claimed),
      claimedAnonymousIds: ids.flatMap((link) => (link.claimed === 1 ? [link.id] : [])),
    }
  }
}
