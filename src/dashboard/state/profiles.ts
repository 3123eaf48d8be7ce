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
  /** Linked anonymous IDs, newest first, at most `maxAnonymousIds`. */
  anonymousIds: string[]
  /** Names of the traits that only pages have sent. */
  claimedTraits: string[]
  /** Those `anonymousIds` that only pages have linked. */
  claimedAnonymousIds: string[]
}

/** Maximum number of anonymous IDs that the API returns per profile. */
export const maxAnonymousIds = 100

/** The first of name, username, email and ID that is set. */
export function displayName({ name, username, email, profileId }: Profile): string {
  return name ?? username ?? email ?? profileId
}
