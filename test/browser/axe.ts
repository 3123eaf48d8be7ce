import { source } from "axe-core"
import type { Page } from "playwright-core"

/** The rules of WCAG 2.2 AA, and what else is good practice. */
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

/** What axe finds wrong with a page as it is now: the rule, and the elements. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(source)
  return page.evaluate(async (values) => {
    // axe puts itself into the window.
    const { axe } = window as unknown as { axe: typeof import("axe-core") }
    const { violations } = await axe.run({ runOnly: { type: "tag", values } })
    return violations.map(
      ({ id, help, nodes }) =>
        `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(" | ")}`,
    )
  }, tags)
}
