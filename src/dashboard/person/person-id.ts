/** Who is looked at: a visitor by an anonymous id, or a profile by its id. */
export interface PersonId {
  kind: "visitor" | "profile"
  id: string
}

/** Undefined: the address names nobody. */
export function personIdOf(params: URLSearchParams): PersonId | undefined {
  for (const kind of ["visitor", "profile"] as const) {
    const id = params.get(kind)
    if (id) return { kind, id }
  }
  return undefined
}

/** Whose events a parameter of a query is about. */
export function whose({ kind, id }: PersonId): { anonymousId: string } | { profileId: string } {
  return kind === "visitor" ? { anonymousId: id } : { profileId: id }
}

/** What is asked of one person's events besides: whatever was marked is theirs too. */
export const withCrawlers = { crawlers: true }
