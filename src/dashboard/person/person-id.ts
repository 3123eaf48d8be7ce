/** A person: a visitor by anonymous ID, or a profile by profile ID. */
export interface PersonId {
  kind: "visitor" | "profile"
  id: string
}

/** The person named in the URL; undefined if there is none. */
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

/** Includes events from crawlers, because a person's page shows all of their events. */
export const withCrawlers = { crawlers: true }
