import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { closeDatabase, openDatabase } from "../../src/store/db/open.ts"
import { EventInserter } from "../../src/store/events.ts"
import { createKey } from "../../src/store/keys.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { chunks, duckDbAt, makeBlocks, type Range, website } from "./engines.ts"
import {
  lineOf,
  rowOf,
  type WideEvent,
  websiteShares,
  wideColumns,
  wideEvents,
  wideSpan,
} from "./wide-dataset.ts"

const day = 86_400_000

/** Creates the two databases in `folder` unless they exist. Returns the range of all events, in whole UTC days. */
export async function prepareWide(folder: string, packages: string, count: number): Promise<Range> {
  mkdirSync(folder, { recursive: true })
  const done = join(folder, "end")
  const end = existsSync(done) ? Number(readFileSync(done, "utf8")) : Date.now()
  if (!existsSync(done)) {
    const file = join(folder, "events.tsv")
    for (const made of ["databuddy.db", "databuddy.db-wal", "databuddy.db-shm", "wide.duckdb"])
      rmSync(join(folder, made), { force: true })
    await buildDatabuddy(folder, wideEvents(count, end), file)
    await buildDuckDb(folder, packages, file)
    rmSync(file)
    writeFileSync(done, String(end))
  }
  const startOfDay = (ms: number) => Math.floor(ms / day) * day
  return { from: startOfDay(end - wideSpan), to: startOfDay(end) }
}

async function buildDatabuddy(folder: string, events: Iterable<WideEvent>, file: string): Promise<void> {
  const path = join(folder, "databuddy.db")
  const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
  const now = Date.now()
  const db = openDatabase({ path, durability: "os", busyTimeout: 0, now })
  const rids = websiteShares.map((_, index) => {
    const id = index === 0 ? website : crypto.randomUUID()
    const settings = { domain: `bench${index}.example`, name: `bench ${index}`, anonymize: "off" } as const
    return createWebsite(db, id, { ...settings, allowedOrigins: [] }, now).rid
  })
  const grant = {
    name: "bench",
    scopes: ["track:events" as const, "read:data" as const],
    websites: null,
    rateLimit: null,
    expiresAt: null,
  }
  writeFileSync(join(folder, "key"), createKey(db, crypto.randomUUID(), grant, random, now).secret)
  const inserter = new EventInserter(db, new DailyHash(db, random))
  const store = db.transaction((chunk: WideEvent[]) =>
    inserter.insert(chunk.map((event) => rowOf(event, rids))),
  )
  const writer = Bun.file(file).writer({ highWaterMark: 4_194_304 })
  for (const chunk of chunks(events)) {
    store.immediate(chunk)
    for (const event of chunk) writer.write(lineOf(event))
    await writer.flush()
  }
  await writer.end()
  closeDatabase(db)
  makeBlocks(path)
}

async function buildDuckDb(folder: string, packages: string, file: string): Promise<void> {
  const connection = await duckDbAt(join(folder, "wide.duckdb"), packages)
  const types = Object.entries(wideColumns).map(([name, type]) => `'${name}': '${type}'`)
  await connection.run(`
    create table events as
    select * from read_csv('${file}', delim = '\t', header = false, columns = {${types}})
    order by ts`)
  await connection.run("checkpoint")
  connection.closeSync()
}
