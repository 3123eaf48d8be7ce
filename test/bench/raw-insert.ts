// The upper limit for inserts: multi-row inserts into the same schema, without HTTP, JSON parsing or validation. Rows
// are prepared beforehand. Each commit inserts 500 rows and is synced. Prints events per second.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { closeDatabase, openDatabase } from "../../src/store/db/open.ts"
import { standardEvents } from "./dataset.ts"

const rowsPerCommit = 500
const rowsPerStatement = 50
const seconds = Number(process.argv[2])

const folder = mkdtempSync(join(tmpdir(), "databuddy-bench-"))
const db = openDatabase({
  path: join(folder, "raw.db"),
  durability: "fsync",
  busyTimeout: 0,
  now: Date.now(),
})
const insertType = db.prepare(
  "insert into event_types (id, name, namespace, source, keys) values (?, ?, '', '', ?)",
)
for (let id = 1; id <= 40; id++) insertType.run(id, `event_${id - 1}`, '["button","page","plan","amount"]')
const columns =
  "website_rid, type_id, ts, delay, anonymous_id, session_id, profile_id, path, via_key, crawler, event_id, properties"
const row = `(${columns.replaceAll(/\w+/g, "?")})`
const insert = db.prepare(`
  insert into event_rows (${columns})
  values ${Array(rowsPerStatement).fill(row).join(", ")}
  on conflict do nothing`)

const statements: unknown[][] = []
let values: unknown[] = []
for (const event of standardEvents(100_000, Date.now())) {
  const { name, timestamp, properties, anonymousId, sessionId } = event
  const type = 1 + Number(name.slice("event_".length))
  const text = JSON.stringify(Object.values(properties)).slice(1, -1)
  values.push(0, type, timestamp, 0, anonymousId, sessionId, null, null, 1, 0, null, text)
  if (values.length === rowsPerStatement * 12) {
    statements.push(values)
    values = []
  }
}

const commit = db.transaction((first: number) => {
  for (let index = 0; index < rowsPerCommit / rowsPerStatement; index++) {
    insert.run(statements[(first + index) % statements.length])
  }
})
let rows = 0
let next = 0
const begin = performance.now()
while (performance.now() - begin < seconds * 1000) {
  commit.immediate(next)
  next += rowsPerCommit / rowsPerStatement
  rows += rowsPerCommit
}
const rate = rows / ((performance.now() - begin) / 1000)
closeDatabase(db)
rmSync(folder, { recursive: true })
process.stdout.write(`${rate}\n`)
