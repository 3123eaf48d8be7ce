import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openReader } from "../harness.ts"
import { benchBeside } from "./beside.ts"
import { type Answer, ask, type EngineName, engines, install } from "./engines.ts"
import { type Prepared, prepare } from "./prepare.ts"
import { questions } from "./questions.ts"

interface Options {
  events?: number[]
  engines?: EngineName[]
  rounds: number
  dir?: string
}

const standardSizes = [1_000_000, 10_000_000]
const allEngines = Object.keys(engines) as EngineName[]
/** Tables that answer questions, with their indexes. */
const keptForAnswers = /^(sealed|blocks|segments|identities|sqlite_autoindex_identities)/
const out = (line: string) => process.stdout.write(`${line}\n`)

/** Asks every engine every question about the same events and prints the times, and whether the answers are equal. */
export async function benchQuery(options: Options): Promise<void> {
  const { events = standardSizes, engines: chosen = allEngines, rounds, dir } = options
  const folder = dir ?? mkdtempSync(join(tmpdir(), "databuddy-bench-"))
  try {
    const packages = join(folder, "engines")
    if (chosen.some((name) => name === "DuckDB" || name === "ClickHouse")) await install(packages)
    const asked: Answers[][] = []
    for (const count of events) {
      const data = await prepare(folder, packages, count, chosen)
      asked.push(await compare(data, packages, count, chosen, rounds))
      if (!chosen.includes("databuddy")) continue
      printBytesBeside(data.folder, count)
      if (count === events.at(-1)) await benchBeside(data.folder, data.range)
    }
    if (asked.length > 1) printGrowth(events, asked)
  } finally {
    if (dir === undefined) rmSync(folder, { recursive: true })
  }
}

type Answers = Partial<Record<EngineName, Answer>>

/** Prints the table of one size and gives the answers, a set for each question. */
async function compare(
  { folder, range }: Prepared,
  packages: string,
  count: number,
  chosen: EngineName[],
  rounds: number,
): Promise<Answers[]> {
  out(
    `\n| ${count.toLocaleString("en")} events, ms warm (cold) | ${chosen.join(" | ")} | of the faster | answers |`,
  )
  out(`|---|${chosen.map(() => "---:|").join("")}---:|---|`)
  const all: Answers[] = []
  for (const [question, { name }] of questions.entries()) {
    const answers: Answers = {}
    for (const engine of chosen) {
      try {
        answers[engine] = await ask({ engine, folder, packages, question, rounds, ...range })
      } catch (error) {
        // The others' times are worth having all the same.
        process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
      }
    }
    const cells = chosen.map((engine) => timesOf(answers[engine]))
    out(`| ${[name, ...cells, ofTheFaster(answers), verdict(answers)].join(" | ")} |`)
    all.push(answers)
  }
  return all
}

function timesOf(answer: Answer | undefined): string {
  return answer ? `${shown(answer.warm)} (${shown(answer.cold)})` : "failed"
}

function shown(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : ms.toFixed(0)
}

/** databuddy's time to that of the faster of DuckDB and ClickHouse. */
function ofTheFaster({ databuddy, DuckDB, ClickHouse }: Answers): string {
  if (!databuddy || !(DuckDB || ClickHouse)) return ""
  return (databuddy.warm / Math.min(DuckDB?.warm ?? Infinity, ClickHouse?.warm ?? Infinity)).toFixed(2)
}

function verdict(answers: Answers): string {
  const [[, first] = [], ...others] = Object.entries(answers)
  const expected = JSON.stringify(first?.rows)
  const wrong = others.filter(([, { rows }]) => JSON.stringify(rows) !== expected).map(([name]) => name)
  if (wrong.length > 0) return `${wrong.join(", ")} differ`
  return `${others.length > 0 ? "equal" : "alone"}, ${first?.rows.length ?? 0} rows`
}

/** How much longer databuddy takes over the last size than over the first. */
function printGrowth(sizes: number[], asked: Answers[][]): void {
  const [fewer, more] = [asked[0], asked.at(-1)]
  const title = `${sizes.at(-1)?.toLocaleString("en")} to ${sizes[0]?.toLocaleString("en")} events`
  out(`\n| databuddy, ${title} | times as long | at most |`)
  out("|---|---:|---:|")
  for (const [question, { name, growth }] of questions.entries()) {
    const before = fewer?.[question]?.databuddy
    const after = more?.[question]?.databuddy
    if (growth === undefined || !before || !after) continue
    out(`| ${name} | ${(after.warm / before.warm).toFixed(2)} | ${growth} |`)
  }
}

/** Sizes of the data stored for queries in addition to the rows, by table. */
function printBytesBeside(folder: string, count: number): void {
  const db = openReader(join(folder, "databuddy.db"))
  const sizes = db
    .prepare("select name, sum(pgsize) as bytes from dbstat where aggregate = true group by name")
    .all() as { name: string; bytes: number }[]
  db.close()
  const beside = sizes.filter(({ name }) => keptForAnswers.test(name))
  const total = beside.reduce((sum, { bytes }) => sum + bytes, 0)
  const parts = beside
    .sort((one, other) => other.bytes - one.bytes)
    .map(({ name, bytes }) => `${name} ${(bytes / count).toFixed(2)}`)
  out(`\nkept beside the rows: ${(total / count).toFixed(1)} bytes an event (${parts.join(", ")})`)
}
