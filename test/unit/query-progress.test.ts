import { describe, expect, test } from "bun:test"
import { progressOf } from "../../src/dashboard/state/query-cache.ts"

const own = [{ parameter: "own", success: true, data: [] }]
const other = [{ parameter: "other", success: true, data: [] }]
const error = new Error("failed")
const none = { results: undefined, isLoading: false, isStale: false, error: undefined }

describe("the state that is shown for a query if", () => {
  const cases = [
    { name: "there is no query", key: "", state: {}, shown: {} },
    { name: "there is no longer a query", key: "", state: { key: "before", results: other }, shown: {} },
    { name: "it runs for the first time", key: "now", state: {}, shown: { isLoading: true } },
    {
      name: "it runs after another one",
      key: "now",
      state: { key: "before", results: other },
      shown: { results: other, isStale: true },
    },
    {
      name: "it runs again",
      key: "now",
      cached: own,
      state: { key: "before", results: other },
      shown: { results: own },
    },
    { name: "it has a result", key: "now", state: { key: "now", results: own }, shown: { results: own } },
    { name: "it has failed", key: "now", state: { key: "now", error }, shown: { error } },
    {
      name: "the query before it has failed",
      key: "now",
      state: { key: "before", error },
      shown: { isLoading: true },
    },
  ]
  test.each(cases)("$name", ({ key, state, cached, shown }) => {
    const before = { key: "", results: undefined, error: undefined, ...state }
    expect(progressOf(before, key, cached)).toEqual({ ...none, ...shown })
  })
})
