import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { temporaryFolder } from "../harness.ts"
import { buildClock, compiler, setClock } from "../support/clock.ts"
import { startDemo } from "../support/demo.ts"
import { launch, listen, waitForPage } from "./browser.ts"
import { demoPages } from "./demo-pages.ts"

// Takes screenshots of every page with the data of `databuddy demo`, at a fixed time:
// `npm run screenshots -- [--seed 1] [--at 2026-11-26T15:00Z] [<folder> [<page>…]]`.
// Needs a C compiler for the library that sets the clock of the server and of the browser.

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: "1" },
    // At this time, the demo's release is on the 12th.
    at: { type: "string", default: "2026-11-26T15:00Z" },
  },
})
const [folder = "screenshots", ...names] = positionals
const looks = [
  { look: "light", options: { colorScheme: "light" } },
  { look: "dark", options: { colorScheme: "dark" } },
  { look: "phone", options: { colorScheme: "light", viewport: { width: 390, height: 844 } } },
] as const
/** Maximum ms until a page has loaded, on a busy machine. */
const loading = 120_000
/** ms until a chart is drawn after its numbers have loaded. */
const drawing = 400

if (!compiler) throw new Error("a C compiler on Linux is needed: apt-get install gcc libc6-dev")
mkdirSync(folder, { recursive: true })
using temporary = temporaryFolder()
const clock = buildClock(temporary.path)
setClock(clock.CLOCK_FILE, Date.parse(values.at))
await using demo = await startDemo(["--seed", values.seed, "--no-live"], clock)
// Playwright passes these variables on to the browser.
Object.assign(process.env, clock)
const browser = await launch()
for (const { name, site, path, ready } of demoPages.filter(
  (one) => names.length === 0 || names.includes(one.name),
)) {
  for (const { look, options } of looks) {
    const context = await browser.newContext({
      viewport: { width: 1360, height: 900 },
      locale: "en-GB",
      timezoneId: "UTC",
      baseURL: demo.url,
      ...options,
    })
    context.setDefaultTimeout(loading)
    const page = await context.newPage()
    const faults = listen(page)
    await page.goto(demo.loginLink)
    await page.goto(path.replace("SITE", demo.websites[site]))
    await waitForPage(page, ready)
    await page.waitForTimeout(drawing)
    const file = join(folder, `${name}-${look}.png`)
    await page.screenshot({ path: file, fullPage: true })
    process.stdout.write(`${[file, ...faults].join("\n  ")}\n`)
    await context.close()
  }
}
await browser.close()
