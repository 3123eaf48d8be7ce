import type { BrowserContext, Page, Request } from "playwright-core"
import { launch, noBrowser, owner, waitForPage } from "../browser/browser.ts"
import type { Server } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { startBusy } from "./busy.ts"
import { website } from "./engines.ts"

interface Options {
  events: number
  rounds: number
  dir?: string
}

/** Maximum ms from the first query of a page to its last response. */
const unfiltered = 100
const filtered = 300
/** ms to wait for the remaining queries of a page after it is complete. */
const settling = 300

const pro = "f=eq:property.plan:pro"
const steps = "step=event_1&step=event_2&step=event_3"

const pages = [
  { name: "overview", path: "overview", ready: "event_", atMost: unfiltered },
  { name: "overview by hour", path: "overview?by=hourly", ready: "event_", atMost: unfiltered },
  { name: "overview by week", path: "overview?by=weekly", ready: "event_", atMost: unfiltered },
  { name: "overview, last 7 days", path: "overview?period=last_7d", ready: "event_", atMost: unfiltered },
  { name: "overview, plan is pro", path: `overview?${pro}`, ready: "event_", atMost: filtered },
  {
    name: "overview, one of 300 pages",
    path: "overview?f=eq:property.page:%2Fpage%2F7",
    ready: "event_",
    atMost: filtered,
  },
  { name: "events", path: "events", ready: "event_", atMost: unfiltered },
  { name: "event", path: "event?name=event_7", ready: "amount", atMost: filtered },
  {
    name: "event by plan",
    path: "event?name=event_7&split=property.plan",
    ready: "amount",
    atMost: filtered,
  },
  { name: "live", path: "live", ready: "event_", atMost: filtered },
  { name: "funnel", path: `funnels?${steps}&window=1d`, ready: "dropped off", atMost: filtered },
  {
    name: "funnel, plan is pro",
    path: `funnels?${steps}&window=1d&${pro}`,
    ready: "dropped off",
    atMost: filtered,
  },
  { name: "retention", path: "retention", ready: "Average", atMost: filtered },
  { name: "retention, plan is pro", path: `retention?${pro}`, ready: "Average", atMost: filtered },
  { name: "paths", path: "paths?step=event_7", ready: "1 step before", atMost: filtered },
  { name: "goals", path: "goals?step=event_7", ready: "Conversion", atMost: filtered },
  { name: "people", path: "people", ready: "user-", atMost: filtered },
  { name: "people, searched", path: "people?search=4242", ready: "user-", atMost: filtered },
  { name: "person", path: "person?visitor=user-4242", ready: "Timeline", atMost: filtered },
]

/** Prints how long each page takes to load. The pages are loaded in turn, and the browser's cache is not cleared. */
export async function benchPages({ events, rounds, dir }: Options): Promise<void> {
  if (noBrowser)
    throw new Error(
      "this needs Chromium: apt-get install chromium-headless-shell fonts-liberation, or CHROMIUM=path",
    )
  const out = (line: string) => process.stdout.write(`${line}\n`)
  await using busy = await startBusy({ events, arriving: 50, ...(dir !== undefined && { dir }) })
  const browser = await launch()
  try {
    const context = await loggedIn(
      await browser.newContext({ viewport: { width: 1360, height: 900 } }),
      busy.server,
    )
    const tab = await context.newPage()
    const times = pages.map((): { asked: number; whole: number }[] => [])
    for (let round = 0; round <= rounds; round++) {
      for (const [index, { path, ready }] of pages.entries()) {
        times[index]?.push(await visit(tab, `${busy.server.url}/w/${website}/${path}`, ready))
      }
    }
    out(
      `\n| ${events.toLocaleString("en")} events, ms | queries, p50 | max | first load | limit | page complete, p50 |`,
    )
    out("|---|---:|---:|---:|---:|---:|")
    for (const [index, { name, atMost }] of pages.entries()) {
      const [first, ...warm] = times[index] ?? []
      const asked = warm.map((one) => one.asked).sort((a, b) => a - b)
      const shown = warm.map((one) => one.whole).sort((a, b) => a - b)
      const middle = Math.floor(warm.length / 2)
      const cells = [asked[middle], asked.at(-1), first?.asked].map((ms) => ms?.toFixed(0))
      out(`| ${[name, ...cells, atMost, shown[middle]?.toFixed(0)].join(" | ")} |`)
    }
    out(`\npeak memory: ${busy.memory().toFixed(0)} MiB; events received meanwhile: ${busy.sent()}`)
  } finally {
    await browser.close()
  }
}

/** Loads a page. Returns the ms from its first query to its last response, and until the page was complete. */
async function visit(tab: Page, url: string, ready: string): Promise<{ asked: number; whole: number }> {
  const asked: Request[] = []
  const onDone = (request: Request) => {
    if (/\/v1\/query\?/.test(request.url())) asked.push(request)
  }
  tab.on("requestfinished", onDone)
  const begin = performance.now()
  await tab.goto(url)
  await waitForPage(tab, ready)
  const end = performance.now()
  await tab.waitForTimeout(settling)
  tab.off("requestfinished", onDone)
  const timings = asked.map((request) => request.timing())
  const first = Math.min(...timings.map(({ startTime }) => startTime))
  const last = Math.max(...timings.map(({ startTime, responseEnd }) => startTime + responseEnd))
  return { asked: last - first, whole: end - begin }
}

/** Creates the owner on the command line and logs in as the owner. */
async function loggedIn(context: BrowserContext, { db, url }: Server): Promise<BrowserContext> {
  const { email, password } = owner
  const args = ["user", "create", email, "--role", "owner", "--password-stdin", "--db", db]
  const made = Bun.spawnSync([binary, ...args], { stdin: Buffer.from(`${password}\n`) })
  if (!made.success) throw new Error(made.stderr.toString())
  const answer = await context.request.post(`${url}/v1/login`, {
    headers: { "x-databuddy-page": "1" },
    data: { email, password },
  })
  if (!answer.ok()) throw new Error(await answer.text())
  return context
}
