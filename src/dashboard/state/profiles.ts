/** An identified person, as returned by the API. */
export interface Profile {
  profileId: string
  email: string | null
  name: string | null
  username: string | null
  traits: Record<string, string | number | boolean>
  /** ISO 8601 in UTC, like `updatedAt`. */
  createdAt: string
  updatedAt: string
  /** Linked ids, newest first, at most `maxAnonymousIds`. */
  anonymousIds: string[]
  /** The traits that only a page has sent. */
  claimedTraits: string[]
  /** The `anonymousIds` that only a page has linked. */
  claimedAnonymousIds: string[]
}

/** Maximum number of anonymous ids that the API returns per profile. */
export const maxAnonymousIds = 100

/** The first of name, username, email and id that is set. */
export function displayName({ name, username, email, profileId }: Profile): string {
  return name ?? username ?? email ?? profileId
}
