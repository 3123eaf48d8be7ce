import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { standardEvents } from "./dataset.ts"
import { columnsOf, type EngineName, engines, type Range } from "./engines.ts"

export interface Prepared {
  folder: string
  range: Range
}

const day = 86_400_000

/** Fills each chosen engine with the standard data set, in the folder `<count>` of `dir`, unless that has been done. */
export async function prepare(
  dir: string,
  packages: string,
  count: number,
  chosen: readonly EngineName[],
): Promise<Prepared> {
  const folder = join(dir, String(count))
  mkdirSync(folder, { recursive: true })
  const endFile = join(folder, "end")
  if (!existsSync(endFile)) writeFileSync(endFile, String(Date.now()))
  const end = Number(readFileSync(endFile, "utf8"))
  const file = join(folder, "events.tsv")
  for (const name of chosen) {
    const done = join(folder, `${name}.done`)
    if (existsSync(done)) continue
    for (const made of engines[name].files) rmSync(join(folder, made), { recursive: true, force: true })
    const needsFile = name === "DuckDB" || name === "ClickHouse"
    if (needsFile && !existsSync(file)) await writeColumns(file, count, end)
    const begin = performance.now()
    await engines[name].build({ folder, packages, events: standardEvents(count, end), file })
    writeFileSync(done, "")
    const seconds = ((performance.now() - begin) / 1_000).toFixed(1)
    process.stdout.write(`${name} filled with ${count.toLocaleString("en")} events in ${seconds} s\n`)
  }
  rmSync(file, { force: true })
  return { folder, range: { from: startOfDay(end - 30 * day), to: startOfDay(end) + day } }
}

async function writeColumns(file: string, count: number, end: number): Promise<void> {
  const writer = Bun.file(file).writer({ highWaterMark: 4_194_304 })
  let pending = 0
  for (const event of standardEvents(count, end)) {
    writer.write(columnsOf(event))
    if (++pending % 100_000 === 0) await writer.flush()
  }
  await writer.end()
}

function startOfDay(ms: number): number {
  return Math.floor(ms / day) * day
}
