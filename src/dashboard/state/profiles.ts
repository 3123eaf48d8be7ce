/** An identified user, as the API shows it. */
export interface Profile {
  profileId: string
  email: string | null
  name: string | null
  username: string | null
  traits: Record<string, string | number | boolean>
  /** ISO 8601 in UTC, as `updatedAt`. */
  createdAt: string
  updatedAt: string
  /** Those that were seen to be theirs, the newest first; of more than `mostLinked` the newest. */
  anonymousIds: string[]
}

/** Anonymous ids of a profile that the API gives. */
export const mostLinked = 100

/** What people call somebody. */
export function calledName({ name, username, email, profileId }: Profile): string {
  return name ?? username ?? email ?? profileId
}
