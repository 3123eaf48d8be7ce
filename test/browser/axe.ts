import type { RunOnly } from "axe-core"
import source from "axe-core/axe.min.js" with { type: "text" }
import type { Locator, Page } from "playwright-core"

/** WCAG 2.2 AA and best practices. */
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
/** The rules among these tags that check colors. */
const colorRules = ["color-contrast", "link-in-text-block"]

/**
 * Returns the violations that axe finds in the page's current state: rules and elements. First waits until no panel
 * shows outdated data, which is faded and has too little contrast, and scrolls to the top, because the filter bar
 * covers a part of what scrolls below it. `rules`: "color" for a page of which only the colors have changed since all
 * rules were checked. `part`: for example, a dialog on a page that every-page.test.ts checks as a whole.
 */
export async function violations(
  page: Page,
  rules: "all" | "color" = "all",
  part: Locator = page.locator("html"),
): Promise<string[]> {
  await page.waitForFunction(() => document.querySelector('[aria-busy="true"]') === null)
  await page.evaluate(() => scrollTo(0, 0))
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(source)
  const runOnly: RunOnly =
    rules === "all" ? { type: "tag", values: tags } : { type: "rule", values: colorRules }
  return part.evaluate(async (element, runOnly) => {
    // axe is a global.
    const { axe } = window as unknown as { axe: typeof import("axe-core") }
    const { violations } = await axe.run(element, { runOnly, resultTypes: ["violations"], selectors: false })
    return violations.map(
      ({ id, help, nodes }) =>
        `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(" | ")}`,
    )
  }, runOnly)
}
