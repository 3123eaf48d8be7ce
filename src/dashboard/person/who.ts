import type { Filter } from "../state/filters.ts"

/** Who is looked at: a visitor by an anonymous id, or a profile by its id. */
export interface Who {
  kind: "visitor" | "profile"
  id: string
}

/** Undefined: the address names nobody. */
export function whoOf(params: URLSearchParams): Who | undefined {
  for (const kind of ["visitor", "profile"] as const) {
    const id = params.get(kind)
    if (id) return { kind, id }
  }
  return undefined
}

/** Which events are theirs: of a profile those that name it. */
export function filterOf({ kind, id }: Who): Filter {
  return { field: kind === "visitor" ? "anonymous_id" : "profile_id", op: "eq", value: id }
}

/** What is asked of one person's events besides: whatever was marked is theirs too. */
export const withCrawlers = { crawlers: true }
