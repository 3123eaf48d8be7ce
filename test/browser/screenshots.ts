import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { openDashboard, waitForPage } from "./browser.ts"
import { sendQuality } from "./page-quality.ts"
import { pages } from "./pages.ts"

// Screenshots of every page with the shop's events: `npm run screenshots -- <folder> [<page>…]`.

const [folder = "screenshots", ...names] = process.argv.slice(2)
const looks = [
  { look: "light", options: { colorScheme: "light" } },
  { look: "dark", options: { colorScheme: "dark" } },
  { look: "phone", options: { colorScheme: "light", viewport: { width: 390, height: 844 } } },
] as const
/** ms until a chart is drawn after its numbers have loaded. */
const drawing = 400

mkdirSync(folder, { recursive: true })
await using dashboard = await openDashboard({ pageViews: true })
await sendQuality(dashboard.server.url, dashboard.site, 30)
for (const { name, path, ready } of pages.filter((one) => names.length === 0 || names.includes(one.name))) {
  for (const { look, options } of looks) {
    const { page, faults } = await dashboard.open(path, options)
    await waitForPage(page, ready)
    await page.waitForTimeout(drawing)
    const file = join(folder, `${name}-${look}.png`)
    await page.screenshot({ path: file, fullPage: true })
    process.stdout.write(`${[file, ...faults].join("\n  ")}\n`)
    await page.context().close()
  }
}
