import { afterEach, beforeEach, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { differences } from "../../src/columns/check.ts"
import { sealAll } from "../../src/columns/sealer.ts"
import { eventKinds } from "../../src/event-kinds.ts"
import { executeQuerySync } from "../../src/query/engine/execute.ts"
import { Database, type Db } from "../../src/store/db/driver.ts"
import { migrate } from "../../src/store/db/migrate.ts"
import { type TemporaryFolder, temporaryFolder } from "../harness.ts"

// Before migration 0011, each block held events of one name. These blocks are read in their old format until merged.

let folder: TemporaryFolder
let db: Db

beforeEach(() => {
  folder = temporaryFolder()
  const path = folder.file("old.db")
  db = new Database(path)
  db.exec(readFileSync(join(import.meta.dir, "../fixtures/schema-0010.sql"), "utf8"))
  migrate(db, path, 0)
})
afterEach(() => {
  db.close()
  folder[Symbol.dispose]()
})

const blocks = () =>
  db.prepare("select count(*), sum(stale > 0) from blocks where website_rid >= 0").raw().get()

function counts(): unknown {
  const scope = {
    websites: [0, 1, 2],
    from: 0,
    to: 2 ** 42,
    zone: "UTC",
    filters: [],
    crawlers: true,
    kinds: eventKinds,
  }
  const { result, statistics } = executeQuerySync(db, {
    kind: "groups",
    scope,
    by: ["event_name", "property.plan", "website_id"],
    measures: ["events", "users"],
  })
  const groups = result.groups.map(({ by, values }) => [...by, ...values]).sort()
  return { groups: JSON.stringify(groups), source: statistics.source }
}

test("blocks with one name are readable, and merging them does not change results", () => {
  expect(blocks()).toEqual([4, 0])
  expect(differences(db)).toEqual([])
  const before = counts()
  expect(before).toMatchObject({ source: "blocks" })
  sealAll(db, Number.MAX_SAFE_INTEGER)
  expect(blocks()).toEqual([3, 0])
  expect(differences(db)).toEqual([])
  expect(counts()).toEqual(before as object)
})

test("deleting an event marks only its own block stale", () => {
  db.exec(`
    delete from event_rows
    where website_rid = 1 and type_id in (select id from event_types where name = 'signed_up')`)
  expect(blocks()).toEqual([4, 1])
  sealAll(db, Number.MAX_SAFE_INTEGER)
  expect(blocks()).toEqual([3, 0])
  expect(differences(db)).toEqual([])
})
