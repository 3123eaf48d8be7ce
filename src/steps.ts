/** Runs a generator to completion without pauses, and returns its result. */
export function runToEnd<Result>(steps: Generator<void, Result>): Result {
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

/** Creates a generator that returns `result` without pauses. */
// biome-ignore lint/correctness/useYield: it has no steps
export function* withoutSteps<Result>(result: Result): Generator<void, Result> {
  return result
}
