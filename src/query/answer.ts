import { type Kind, Moved } from "../columns/batch.ts"
import { Reader } from "../columns/reader.ts"
import type { EventSource } from "../columns/source.ts"
import type { Db } from "../store/native.ts"
import { Budget } from "./distinct.ts"
import { events } from "./events.ts"
import { kindOf } from "./filter.ts"
import { funnel } from "./funnel.ts"
import { groups } from "./groups.ts"
import { operators } from "./operators.ts"
import { paths } from "./paths.ts"
import { people } from "./people.ts"
import type { AnswerOf, Answers, Filter, Meta, Question } from "./question.ts"
import { reach } from "./reach.ts"
import { retention } from "./retention.ts"
import { sessions } from "./sessions.ts"
import { values } from "./values.ts"

export interface Answered<Asked extends Question> {
  answer: AnswerOf<Asked>
  meta: Omit<Meta, "ms">
}

/** Bytes that one answer may take beside what it reads, where nobody says. */
export const standardMemory = 268_435_456
/** Times that a question is begun again because blocks were made anew under it. */
const mostTries = 20

/**
 * Answers a question, in steps of some ms; whoever drives it stops it between two of them by not going on. What it took of the
 * `budget` it gives back in the end, but for the answer. Throws TooLarge where it has no room.
 */
export function* answering<Asked extends Question>(
  reader: Reader,
  question: Asked,
  budget: Budget = new Budget(standardMemory),
): Generator<void, Answered<Asked>> {
  for (let tries = 1; ; tries++) {
    const own = budget.part()
    let answered: Answered<Asked>
    try {
      answered = yield* once(reader, question, own)
    } catch (error) {
      if (!(error instanceof Moved) || tries === mostTries) throw error
      continue
    } finally {
      own.release()
    }
    budget.take(bytesOf(answered.answer))
    return answered
  }
}

/** The same at once, for those who have nothing else to do. */
export function ask<Asked extends Question>(
  db: Db,
  question: Asked,
  memory = standardMemory,
): Answered<Asked> {
  const steps = answering(new Reader(db), question, new Budget(memory))
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

function* once<Asked extends Question>(
  reader: Reader,
  question: Asked,
  budget: Budget,
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
    answer: answer as AnswerOf<Asked>,
    meta: { source: parts.join("+") || "blocks", blockEvents, rows: rowsRead },
  }
}

/** Bytes of a list's entry beside its texts: an object with a few numbers. */
const entryBytes = 120

/** What an answer takes, as it is and as rows that are made of it; what it has many of counts. */
function bytesOf(answer: Answers[keyof Answers]): number {
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

const kinds = { groups, values, events, funnel, retention, paths, reach, sessions, people }

/** The links of profiles become a part of the filters, and so of what counts are kept under: they may change with each /identify. */
function withLinks<Asked extends Question>(question: Asked, source: EventSource): Asked {
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
function comparedAsText(question: Question): Kind[] {
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
