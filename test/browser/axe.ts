import { source } from "axe-core"
import type { Page } from "playwright-core"

/** WCAG 2.2 AA and best practices. */
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

/**
 * The violations that axe finds in the page's current state: rules and elements. Waits until no panel shows earlier data, which is faded
 * and has too little contrast, and scrolls to the top: the bar of filters covers a part of what scrolls below it.
 */
export async function violations(page: Page): Promise<string[]> {
  await page.waitForFunction(() => document.querySelector('[aria-busy="true"]') === null)
  await page.evaluate(() => scrollTo(0, 0))
  await page.evaluate(source)
  return page.evaluate(async (values) => {
    // axe is a global.
    const { axe } = window as unknown as { axe: typeof import("axe-core") }
    const { violations } = await axe.run({ runOnly: { type: "tag", values } })
    return violations.map(
      ({ id, help, nodes }) =>
        `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(" | ")}`,
    )
  }, tags)
}
