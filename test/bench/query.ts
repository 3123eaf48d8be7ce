import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openReader } from "../harness.ts"
import { benchmarkQueries } from "./benchmark-queries.ts"
import { type EngineName, type EngineResult, engines, install, runInFreshProcess } from "./engines.ts"
import { benchIngestDuringQueries } from "./ingest-during-queries.ts"
import { type Prepared, prepare } from "./prepare.ts"

interface Options {
  events?: number[]
  engines?: EngineName[]
  rounds: number
  dir?: string
}

const standardSizes = [1_000_000, 10_000_000]
const allEngines = Object.keys(engines) as EngineName[]
/** Tables that only queries read, with their indexes. */
const queryTables = /^(sealed|blocks|segments|identities|sqlite_autoindex_identities)/
const out = (line: string) => process.stdout.write(`${line}\n`)

/** Runs every query on every engine with the same events. Prints the times and whether the results are equal. */
export async function benchQuery(options: Options): Promise<void> {
  const { events = standardSizes, engines: chosen = allEngines, rounds, dir } = options
  const folder = dir ?? mkdtempSync(join(tmpdir(), "databuddy-bench-"))
  try {
    const packages = join(folder, "engines")
    if (chosen.some((name) => name === "DuckDB" || name === "ClickHouse")) await install(packages)
    const measured: Results[][] = []
    for (const count of events) {
      const data = await prepare(folder, packages, count, chosen)
      measured.push(await compare(data, packages, count, chosen, rounds))
      if (!chosen.includes("databuddy")) continue
      printQueryStorage(data.folder, count)
      if (count === events.at(-1)) await benchIngestDuringQueries(data.folder, data.range)
    }
    if (measured.length > 1) printGrowth(events, measured)
  } finally {
    if (dir === undefined) rmSync(folder, { recursive: true })
  }
}

type Results = Partial<Record<EngineName, EngineResult>>

/** Prints the table for one size, and returns the results of each query by engine. */
async function compare(
  { folder, range }: Prepared,
  packages: string,
  count: number,
  chosen: EngineName[],
  rounds: number,
): Promise<Results[]> {
  out(
    `\n| ${count.toLocaleString("en")} events, ms warm (cold) | ${chosen.join(" | ")} | ratio to the faster | results |`,
  )
  out(`|---|${chosen.map(() => "---:|").join("")}---:|---|`)
  const all: Results[] = []
  for (const [query, { name }] of benchmarkQueries.entries()) {
    const results: Results = {}
    for (const engine of chosen) {
      try {
        results[engine] = await runInFreshProcess({ engine, folder, packages, query, rounds, ...range })
      } catch (error) {
        // The times of the other engines are still useful.
        process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
      }
    }
    const cells = chosen.map((engine) => timesOf(results[engine]))
    out(`| ${[name, ...cells, ratioToFaster(results), verdict(results)].join(" | ")} |`)
    all.push(results)
  }
  return all
}

function timesOf(answer: EngineResult | undefined): string {
  return answer ? `${shown(answer.warm)} (${shown(answer.cold)})` : "failed"
}

function shown(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : ms.toFixed(0)
}

/** Returns the ratio of databuddy's time to the time of DuckDB or ClickHouse, whichever is faster. */
function ratioToFaster({ databuddy, DuckDB, ClickHouse }: Results): string {
  if (!databuddy || !(DuckDB || ClickHouse)) return ""
  return (databuddy.warm / Math.min(DuckDB?.warm ?? Infinity, ClickHouse?.warm ?? Infinity)).toFixed(2)
}

function verdict(results: Results): string {
  const [[, first] = [], ...others] = Object.entries(results)
  const expected = JSON.stringify(first?.rows)
  const wrong = others.filter(([, { rows }]) => JSON.stringify(rows) !== expected).map(([name]) => name)
  if (wrong.length > 0) return `${wrong.join(", ")} differ`
  return `${others.length > 0 ? "equal" : "only engine"}, ${first?.rows.length ?? 0} rows`
}

/** Prints how databuddy's times grow from the first size to the last. */
function printGrowth(sizes: number[], measured: Results[][]): void {
  const [fewer, more] = [measured[0], measured.at(-1)]
  const title = `${sizes.at(-1)?.toLocaleString("en")} to ${sizes[0]?.toLocaleString("en")} events`
  out(`\n| databuddy, ${title} | ratio | maximum |`)
  out("|---|---:|---:|")
  for (const [query, { name, growth }] of benchmarkQueries.entries()) {
    const before = fewer?.[query]?.databuddy
    const after = more?.[query]?.databuddy
    if (growth === undefined || !before || !after) continue
    out(`| ${name} | ${(after.warm / before.warm).toFixed(2)} | ${growth} |`)
  }
}

/** Prints the size of the data that is stored for queries in addition to the rows, by table. */
function printQueryStorage(folder: string, count: number): void {
  const db = openReader(join(folder, "databuddy.db"))
  const sizes = db
    .prepare("select name, sum(pgsize) as bytes from dbstat where aggregate = true group by name")
    .all() as { name: string; bytes: number }[]
  db.close()
  const tables = sizes.filter(({ name }) => queryTables.test(name))
  const total = tables.reduce((sum, { bytes }) => sum + bytes, 0)
  const parts = tables
    .sort((one, other) => other.bytes - one.bytes)
    .map(({ name, bytes }) => `${name} ${(bytes / count).toFixed(2)}`)
  out(
    `\nstored for queries in addition to the rows: ${(total / count).toFixed(1)} bytes per event (${parts.join(", ")})`,
  )
}
