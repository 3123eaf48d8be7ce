import { mkdtempSync, rmSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { noBrowser } from "./browser/browser.ts"
import { buildClock, compiler, setClock } from "./support/clock.ts"

// Runs the tests at other dates and times of day:
// `npm run test:dates -- [--date 2027-03-01,…] [--time 00:03,…] [<file>…]`.
// Sets the clock of every process that the tests start, including the browser. The clock then runs on. Nothing on the
// machine is changed, and nothing is installed.

const usage =
  "npm run test:dates -- [--date 2027-03-01,2027-12-31] [--time 00:03,12:00] [test/browser/overview.test.ts …]"

/** As many as `npm test` starts: tests spend about half of their time waiting for browsers, processes and timers. */
const workers = 2 * availableParallelism()

/** Maximum ms of a run of all tests, on a slow machine. */
const longestRun = 1_800_000

/** Next year, so that no file on the machine is newer than the clock. */
const year = new Date().getUTCFullYear() + 1
const dates = [
  `${year}-03-01`, // after the shortest month
  `${year}-12-31`,
  clockChange(year),
]
/** In UTC. A run that starts at 23:50 continues past midnight. */
const times = ["00:03", "12:00", "23:50"]
/** Time zone of the tests. Its clocks change on the third date. */
const zone = "Europe/Berlin"

process.exit(await main(process.argv.slice(2)))

async function main(args: string[]): Promise<number> {
  const { values, positionals: files } = parseArgs({
    args,
    allowPositionals: true,
    options: { date: { type: "string" }, time: { type: "string" } },
  })
  const combinations = (values.date?.split(",") ?? dates).flatMap((date) =>
    (values.time?.split(",") ?? times).map((time) => ({ date, time, at: Date.parse(`${date}T${time}:00Z`) })),
  )
  const wrong = combinations.find(({ at }) => Number.isNaN(at))
  if (wrong) return complain(`${wrong.date} ${wrong.time} is not a date and time of day.\nUsage: ${usage}`)
  if (!compiler) {
    return complain(
      "A C compiler on Linux is needed for the library that sets the clock: apt-get install gcc libc6-dev",
    )
  }
  if (noBrowser) {
    complain(
      "Browser tests are skipped without Chromium: apt-get install chromium-headless-shell fonts-liberation",
    )
  }
  const folder = mkdtempSync(join(tmpdir(), "databuddy-dates-"))
  const lines: string[] = []
  try {
    const clock = buildClock(folder)
    for (const { date, time, at } of combinations) {
      setClock(clock.CLOCK_FILE, at)
      const { summary, isGreen } = await runTests({ ...clock, TZ: zone }, files)
      lines.push(`${isGreen ? "green" : "RED  "} ${date} ${time} UTC: ${summary}`)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  process.stdout.write(`\n${lines.join("\n")}\n`)
  return lines.every((line) => line.startsWith("green")) ? 0 : 1
}

async function runTests(env: Record<string, string>, files: string[]) {
  const options = [
    `--parallel=${workers}`,
    "--no-isolate",
    "--timings=test/timings.json",
    "--only-failures",
    "--timeout",
    "120000",
  ]
  const command = [process.execPath, "test", ...options, ...files]
  const child = Bun.spawn(command, {
    cwd: join(import.meta.dir, ".."),
    env: { ...process.env, ...env },
    stdio: ["ignore", "inherit", "pipe"],
    timeout: longestRun,
  })
  let output = ""
  const decoder = new TextDecoder()
  for await (const chunk of child.stderr) {
    process.stderr.write(chunk)
    output += decoder.decode(chunk, { stream: true })
  }
  const code = await child.exited
  const count = (word: string) =>
    /\d+/.exec(new RegExp(`^ *\\d+ ${word}$`, "m").exec(output)?.[0] ?? "0")?.[0]
  const took = /\[[\d.]+m?s\]\s*$/.exec(output)?.[0].trim() ?? ""
  return { summary: `${count("pass")} passed, ${count("fail")} failed ${took}`, isGreen: code === 0 }
}

/** The last Sunday of March, on which the European Union's clocks change. */
function clockChange(year: number): string {
  const last = new Date(Date.UTC(year, 2, 31))
  last.setUTCDate(31 - last.getUTCDay())
  return last.toISOString().slice(0, 10)
}

function complain(message: string): number {
  process.stderr.write(`${message}\n`)
  return 1
}
