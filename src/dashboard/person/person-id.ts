/** Identifies a person: a visitor by an anonymous ID, or a profile by a profile ID. */
export interface PersonId {
  kind: "visitor" | "profile"
  id: string
}

/** Returns the person named in the URL, or undefined if there is none. */
export function readPersonId(params: URLSearchParams): PersonId | undefined {
  for (const kind of ["visitor", "profile"] as const) {
    const id = params.get(kind)
    if (id) return { kind, id }
  }
  return undefined
}

/** Returns the field that identifies the person in a request body, for a query or a deletion. */
export function personParam({ kind, id }: PersonId): { anonymousId: string } | { profileId: string } {
  return kind === "visitor" ? { anonymousId: id } : { profileId: id }
}

/** Query option that includes events from crawlers, because a person's page shows all of the person's events. */
export const withCrawlers = { crawlers: true }
