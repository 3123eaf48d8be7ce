import type { Db } from "./db/driver.ts"

export interface StoredProfile {
  profile_id: string
  /** JSON string of an object. */
  traits: string
  /** JSON array of the names of the claimed traits: those that only pages have sent, never a request with a key. */
  claimed: string
  created_at: number
  updated_at: number
}

export interface StoredLink {
  anonymous_id: string
  profile_id: string
  linked_at: number
  /** 1 if the link is a claim, made by a page and not with a key. */
  claimed: 0 | 1
}

/** Number of profiles or links per read. Each profile can have 16 KiB of traits. */
const profilesPerRead = 100
const linksPerRead = 1_000

const sql = {
  profiles: `
    select profile_id, traits, claimed, created_at, updated_at from profiles
    where website_rid = :rid and profile_id > :after
    order by profile_id
    limit :limit`,
  profile: `
    select profile_id, traits, claimed, created_at, updated_at from profiles
    where website_rid = :rid and profile_id = :profileId`,
  // Without the hint, SQLite would choose the primary key, which has the requested order, and scan all links of the
  // website.
  linksOf: `
    select anonymous_id, profile_id, linked_at, claimed from profile_links indexed by profile_links_profile
    where website_rid = :rid and profile_id = :profileId
    order by anonymous_id`,
  linksFrom: `
    select anonymous_id, profile_id, linked_at, claimed from profile_links
    where website_rid = :rid and anonymous_id in (select value from json_each(:anonymousIds))
    order by anonymous_id, profile_id`,
  links: `
    select anonymous_id, profile_id, linked_at, claimed from profile_links
    where website_rid = :rid and (anonymous_id, profile_id) > (:anonymous, :profile)
    order by anonymous_id, profile_id
    limit :limit`,
}

/** Yields the profiles of a website in ID order, in batches. */
export function* readProfiles(db: Db, rid: number): Generator<StoredProfile[]> {
  const read = db.prepare(sql.profiles)
  for (let after = ""; ; ) {
    const profiles = read.all({ rid, after, limit: profilesPerRead }) as StoredProfile[]
    if (profiles.length > 0) yield profiles
    const last = profiles.at(-1)
    if (!last || profiles.length < profilesPerRead) return
    after = last.profile_id
  }
}

/** Yields the links of a website in order of anonymous ID, in batches. */
export function* readLinks(db: Db, rid: number): Generator<StoredLink[]> {
  const read = db.prepare(sql.links)
  for (let [anonymous, profile] = ["", ""]; ; ) {
    const links = read.all({ rid, anonymous, profile, limit: linksPerRead }) as StoredLink[]
    if (links.length > 0) yield links
    const last = links.at(-1)
    if (!last || links.length < linksPerRead) return
    ;[anonymous, profile] = [last.anonymous_id, last.profile_id]
  }
}

/** Returns the profile (in a list, which is empty if the profile does not exist) and the links to it. */
export function readProfile(db: Db, rid: number, profileId: string): [StoredProfile[], StoredLink[]] {
  const read = (text: string) => db.prepare(text).all({ rid, profileId })
  return [read(sql.profile) as StoredProfile[], read(sql.linksOf) as StoredLink[]]
}

/** Returns the links of these anonymous IDs to all profiles. */
export function readLinksOfVisitors(db: Db, rid: number, anonymousIds: readonly string[]): StoredLink[] {
  return db.prepare(sql.linksFrom).all({ rid, anonymousIds: JSON.stringify(anonymousIds) }) as StoredLink[]
}
