import { type IdKind, StaleBlockError } from "../../columns/batch.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import { SnapshotReader } from "../../columns/snapshot-reader.ts"
import type { Db } from "../../store/db/driver.ts"
import { groups } from "../aggregate/groups.ts"
import { operators } from "../operators.ts"
import type { Filter, Query, QueryResults, QueryStatistics, ResultOf } from "../query.ts"
import { events } from "../reports/events.ts"
import { funnel } from "../reports/funnel.ts"
import { paths } from "../reports/paths.ts"
import { reach } from "../reports/reach.ts"
import { retention } from "../reports/retention.ts"
import { sessions } from "../reports/sessions.ts"
import { values } from "../reports/values.ts"
import { visitors } from "../reports/visitors.ts"
import { kindOf } from "../scan/matcher.ts"
import { MemoryBudget } from "../structures/id-set.ts"

export interface Answered<Asked extends Query> {
  answer: ResultOf<Asked>
  meta: Omit<QueryStatistics, "ms">
}

/** Bytes that one answer may take beside what it reads, where nobody says. */
export const standardMemory = 268_435_456
/** Times that a question is begun again because blocks were made anew under it. */
const mostTries = 20

/**
 * Answers a question, in steps of some ms; whoever drives it stops it between two of them by not going on. What it took of the
 * `budget` it gives back in the end, but for the answer. Throws TooLarge where it has no room.
 */
export function* executeQuery<Asked extends Query>(
  reader: SnapshotReader,
  question: Asked,
  budget: MemoryBudget = new MemoryBudget(standardMemory),
): Generator<void, Answered<Asked>> {
  for (let tries = 1; ; tries++) {
    const own = budget.part()
    let answered: Answered<Asked>
    try {
      answered = yield* once(reader, question, own)
    } catch (error) {
      if (!(error instanceof StaleBlockError) || tries === mostTries) throw error
      continue
    } finally {
      own.release()
    }
    budget.take(bytesOf(answered.answer))
    return answered
  }
}

/** The same at once, for those who have nothing else to do. */
export function ask<Asked extends Query>(db: Db, question: Asked, memory = standardMemory): Answered<Asked> {
  const steps = executeQuery(new SnapshotReader(db), question, new MemoryBudget(memory))
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

function* once<Asked extends Query>(
  reader: SnapshotReader,
  question: Asked,
  budget: MemoryBudget,
): Generator<void, Answered<Asked>> {
  const { scope } = question
  const source = yield* reader.open(scope)
  for (const kind of comparedAsText(question)) yield* source.readTexts(kind)
  // The table's kinds and the question's are the same, which TypeScript cannot see of a table that is looked up.
  const answer = yield* kinds[question.kind](withLinks(question, source) as never, source, budget)
  const { fromKept, counted, blockEvents, rowsRead } = source
  const parts = [
    fromKept && "kept",
    counted && "counts",
    blockEvents > 0 && "blocks",
    rowsRead > 0 && "rows",
  ].filter(Boolean)
  return {
    answer: answer as ResultOf<Asked>,
    meta: { source: parts.join("+") || "blocks", blockEvents, rows: rowsRead },
  }
}

/** Bytes of a list's entry beside its texts: an object with a few numbers. */
const entryBytes = 120

/** What an answer takes, as it is and as rows that are made of it; what it has many of counts. */
function bytesOf(answer: QueryResults[keyof QueryResults]): number {
  if ("groups" in answer) return answer.groups.length * entryBytes * 3
  if ("properties" in answer)
    return answer.properties.reduce((sum, { top }) => sum + (3 + top.length * 2) * entryBytes, 0)
  if ("events" in answer)
    return answer.events.reduce((sum, one) => sum + entryBytes * 5 + (one.properties?.length ?? 0) * 4, 0)
  if ("cohorts" in answer) return (answer.cohorts.length ** 2 / 2) * entryBytes
  if ("places" in answer) return answer.places.length * entryBytes * 2
  if ("units" in answer) return answer.units.length * entryBytes
  const { length } = "people" in answer ? answer.people : answer.sessions
  return length * entryBytes * 5
}

const kinds = { groups, values, events, funnel, retention, paths, reach, sessions, people: visitors }

/** The links of profiles become a part of the filters, and so of what counts are kept under: they may change with each /identify. */
function withLinks<Asked extends Query>(question: Asked, source: Snapshot): Asked {
  const { scope } = question
  const filters = scope.filters.map((filter): Filter => {
    if (filter.field !== "profile") return filter
    const linked = scope.websites.map(
      (website) => [website, source.linkedIds(website, String(filter.value))] as const,
    )
    return { ...filter, linked }
  })
  return { ...question, scope: { ...scope, filters } }
}

/** Ids whose text some filter looks into. */
function comparedAsText(question: Query): IdKind[] {
  const steps =
    "steps" in question
      ? question.steps
      : "event" in question
        ? [question.event]
        : "start" in question
          ? [question.start, question.comeBack]
          : []
  const filters: Filter[] = [question.scope, ...steps].flatMap(({ filters }) => [...filters])
  return [
    ...new Set(
      filters.flatMap(({ field, op }) => (operators[op].lookup === "text" ? (kindOf[field] ?? []) : [])),
    ),
  ]
}
