import type { Batch } from "../../columns/batch.ts"
import type { Entry, Snapshot } from "../../columns/snapshot.ts"
import { type Scope, type Step, stepFilters } from "../query.ts"
import { type Lookup, Matcher } from "../scan/matcher.ts"
import type { Selection } from "../structures/selection.ts"

/** The part of a snapshot that is used by reports on units. */
export type ReportSource = Lookup &
  Pick<
    Snapshot,
    | "dictionarySizes"
    | "entries"
    | "daysBackwards"
    | "open"
    | "texts"
    | "rowIdsAt"
    | "typeOf"
    | "assignDictionaryIds"
    | "linkedVisitors"
    | "latestProfileOf"
  >

/** Creates a matcher for the events of a step. The filters of the scope are not included. */
export function stepMatcher(step: Step, scope: Scope, source: Lookup): Matcher {
  return new Matcher(scope, stepFilters(step), source)
}

/**
 * Yields the entries of batches that might contain an event in the scope that matches one of the steps or, if there are
 * no steps, any event in the scope. Does not open the batches.
 */
export function* entriesOf(
  source: ReportSource,
  scope: Matcher,
  steps: readonly Matcher[] = [],
): Generator<Entry> {
  const named = steps.length > 0 && steps.every(({ names }) => names)
  const names = scope.names ?? (named ? [...new Set(steps.flatMap(({ names }) => names ?? []))] : undefined)
  for (const entry of source.entries(names)) {
    if (scope.accepts(entry) && (steps.length === 0 || steps.some((step) => step.accepts(entry)))) yield entry
  }
}

/**
 * Calls `visit` with each batch that `entriesOf` finds, and the batch's events in the scope. Yields after each batch.
 */
export function* visitBatches(
  source: ReportSource,
  scope: Matcher,
  visit: (batch: Batch, selection: Selection) => void,
  steps?: readonly Matcher[],
): Generator<void, void> {
  for (const entry of entriesOf(source, scope, steps)) {
    const batch = source.open(entry)
    const selection = batch && scope.select(batch)
    if (batch && selection) visit(batch, selection)
    yield
  }
}
