import type { Entry, Snapshot } from "../../columns/snapshot.ts"
import type { Filter, Scope, Step } from "../query.ts"
import { type Lookup, Matcher } from "../scan/matcher.ts"

/** What those who follow ids from event to event need of a source. */
export type Followed = Lookup &
  Pick<
    Snapshot,
    | "numbers"
    | "entries"
    | "daysBackwards"
    | "open"
    | "texts"
    | "rowIdsAt"
    | "nameOf"
    | "numberAll"
    | "linkedVisitors"
    | "latestProfileOf"
  >

export function stepMatcher({ name, filters }: Step, scope: Scope, source: Lookup): Matcher {
  const named: Filter[] = name === undefined ? [] : [{ field: "event_name", op: "eq", value: name }]
  return new Matcher(scope, [...named, ...filters], source)
}

/** Batches that may hold one of the steps, as far as that shows before they are opened; without steps any event of the scope. */
export function* entriesOf(
  source: Followed,
  scope: Matcher,
  steps: readonly Matcher[] = [],
): Generator<Entry> {
  const named = steps.length > 0 && steps.every(({ names }) => names)
  const names = scope.names ?? (named ? [...new Set(steps.flatMap(({ names }) => names ?? []))] : undefined)
  for (const entry of source.entries(names)) {
    if (scope.accepts(entry) && (steps.length === 0 || steps.some((step) => step.accepts(entry)))) yield entry
  }
}
