import { afterAll, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { EventInserter } from "../../src/store/events.ts"
import { DailyHash } from "../../src/store/salts.ts"
import { openReader, temporaryFolder, withDatabase } from "../harness.ts"
import { repository } from "../support/binary.ts"
import { eventRow } from "../support/event.ts"

const readme = readFileSync(join(repository, "README.md"), "utf8")
const queries = [...readme.matchAll(/^([^\n]+):\n\n```sql\n([^`]+)```/gm)].map(([, title = "", sql = ""]) => [
  title,
  sql,
])

const folder = temporaryFolder()
afterAll(() => folder[Symbol.dispose]())

describe("the README's questions in SQL, as they stand there:", () => {
  const path = folder.file("databuddy.db")
  /** One second into today, UTC. */
  const now = Math.floor(Date.now() / 86_400_000) * 86_400_000 + 1_000
  const today = new Date(now).toISOString()
  withDatabase(path, (db) => {
    const event = (name: string, visitor: string, ago: number, keys: object = {}) =>
      eventRow({
        name,
        anonymousId: visitor,
        profileId: visitor === "a" ? "user_1" : null,
        ts: now - ago,
        receivedAt: now,
        keys: JSON.stringify(Object.keys(keys)),
        properties: JSON.stringify(Object.values(keys)).slice(1, -1),
      })
    new EventInserter(db, new DailyHash(db, (bytes) => bytes)).insert([
      event("signed_up", "a", 0, { plan: "pro" }),
      event("signed_up", "b", 0),
      event("bought", "b", 1, { amount: 99 }),
      event("bought", "a", 0, { amount: 5 }),
      event("bought", "a", 0, { amount: 2.5 }),
      { ...event("seen", "bot", 0), crawler: 1 },
    ])
  })
  const day = today.slice(0, 10)
  const answers: Record<string, unknown[][]> = {
    "Events and visitors by day, of the last 30 days": [[day, 5, 2]],
    "What people did in the last week, and which plan they had": [
      ["bought", null, 3, 2],
      ["seen", null, 1, 1],
      ["signed_up", null, 1, 1],
      ["signed_up", "pro", 1, 1],
    ],
    "What one person did": [
      [today, "signed_up", null, '{"plan":"pro"}'],
      [today, "bought", null, '{"amount":5}'],
      [today, "bought", null, '{"amount":2.5}'],
    ],
    "Of the visitors who signed up, how many bought something later": [[2, 1]],
    "A number in the properties, by website and month": [[null, day.slice(0, 7), 3, 35.5, 99]],
  }

  test("there are five", () => {
    expect(queries.map(([title]) => title)).toEqual(Object.keys(answers))
  })

  test.each(queries)("%s", (title, sql) => {
    const reader = openReader(path)
    const rows = reader
      .prepare(sql as string)
      .raw()
      .all()
    reader.close()
    expect(rows).toEqual(answers[title as string] ?? [])
  })
})
