import { expect, test } from "bun:test"
import type { Db, Statement } from "../../src/store/db/driver.ts"
import { PropertyKeyQuota } from "../../src/store/property-key-quota.ts"
import { openTestDatabase, temporaryFolder } from "../harness.ts"

test("the keys of a website with more than the cache holds are read once, not for each row", () => {
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

/** The database, which calls `onRead` when the keys of a website are read. */
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
