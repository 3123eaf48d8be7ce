import { expect, test } from "bun:test"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db, Statement } from "../../src/store/db/driver.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { maxNewKeysPerDay, PropertyKeyQuota } from "../../src/store/property-key-quota.ts"
import { openTestDatabase, temporaryFolder } from "../harness.ts"
import { eventRow } from "../support/event.ts"

test("the keys of a website that has more than fit into the cache are read once, not for each row", () => {
  using folder = temporaryFolder()
  const db = openTestDatabase(folder.file("test.db"))
  try {
    const add = db.prepare("insert into property_keys (website_rid, hash, day) values (1, :hash, 0)")
    db.transaction(() => {
      for (let hash = 0; hash <= 100_000; hash++) add.run({ hash })
    })()
    let reads = 0
    const quota = new PropertyKeyQuota(countingReads(db, () => reads++))
    for (let row = 0; row < 20; row++) expect(quota.admit(1, 86_400_000, `["new_${row}"]`)).toBe(true)
    expect(reads).toBe(1)
  } finally {
    db.close()
  }
})

test("the properties of a row are converted to an object before the commit if its many keys exceed the dictionary's quota", () => {
  using folder = temporaryFolder()
  const db = openTestDatabase(folder.file("test.db"))
  try {
    const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
    const inserter = new EventInserter(db, new DailyHash(db, random))
    const rowOf = (prefix: string, count: number, name = "n") => {
      const names = Array.from({ length: count }, (_, key) => `${prefix}_${key}`)
      const keys = JSON.stringify(names)
      return eventRow({ name, keys, properties: names.map((_, value) => value).join(",") })
    }
    const stored = rowOf("first", maxNewKeysPerDay)
    expect(inserter.withObject(stored)).toBe(stored)
    db.transaction(() => inserter.insert([stored]))()
    const cases: [what: string, row: EventRow, isObject: boolean][] = [
      ["a known set of keys", stored, false],
      ["another set of known keys", rowOf("first", 1_000), false],
      ["new keys", rowOf("new", 1_000), true],
      ["a few new keys, which the commit handles", rowOf("few", 20), false],
      ["new keys of another website", { ...rowOf("new", 1_000), websiteRid: 2 }, false],
    ]
    for (const [what, row, isObject] of cases) {
      const prepared = inserter.withObject(row)
      expect([what, prepared.keys === ""]).toEqual([what, isObject])
      if (!isObject) expect(prepared).toBe(row)
    }
    const row = rowOf("other", 1_000)
    for (const one of [row, inserter.withObject(row)]) db.transaction(() => inserter.insert([one]))()
    const read = db.prepare("select distinct type_id, properties from event_rows order by id desc limit 2")
    const rows = read.all() as { properties: string }[]
    expect(JSON.parse(rows[0]?.properties ?? "")).toMatchObject({ other_0: 0, other_999: 999 })
    // Both rows are stored in the same way.
    expect(rows[1]?.properties).toStartWith("0,1,2")
  } finally {
    db.close()
  }
})

/** Wraps the database so that `onRead` is called when the keys of a website are read. */
function countingReads(db: Db, onRead: () => void): Db {
  return new Proxy(db, {
    get(target, name) {
      if (name !== "prepare") return Reflect.get(target, name)
      return (text: string) => {
        const statement = target.prepare(text)
        return text.startsWith("select hash") ? withCount(statement, onRead) : statement
      }
    },
  })
}

function withCount(statement: Statement, onRead: () => void): Statement {
  const plucked = statement.pluck()
  return new Proxy(plucked, {
    get(target, name) {
      if (name === "pluck") return () => withCount(target, onRead)
      if (name !== "all") return Reflect.get(target, name)
      return (...values: unknown[]) => {
        onRead()
        return target.all(...values)
      }
    },
  })
}
