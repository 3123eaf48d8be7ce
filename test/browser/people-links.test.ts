import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Locator, Page } from "playwright-core"
import { eventuallyPasses } from "../harness.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForQueries } from "./browser.ts"
import { count, numberOf, positionOf, rowsOf } from "./helpers.ts"

// Links from a number in a report to the people behind it, and from a date in a chart to its people, range and
// annotation.

const funnel = "funnels?step=page_viewed&step=product_viewed&step=order_paid"

describe.skipIf(noBrowser)(`links to people${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard()
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  const openPage = async (path: string) => {
    const tab = await dashboard.open(path)
    await tab.page.getByRole("heading", { level: 1 }).waitFor()
    await waitForQueries(tab.page)
    return tab
  }
  /** Follows a link, and returns the number of people that the page shows. */
  const follow = async (page: Page, link: Locator): Promise<number> => {
    await link.click()
    await page.getByRole("heading", { level: 1, name: "People" }).waitFor()
    return peopleOn(page)
  }

  test("a step and a drop-off of a saved funnel lead to their people, even after a reload and Back", async () => {
    await dashboard.api(`views?website_id=${dashboard.site}`, {
      method: "POST",
      body: JSON.stringify({ kind: "funnel", name: "Purchase", path: funnel }),
    })
    const { page, faults } = await openPage(`/w/SITE/${funnel}`)
    const steps = await rowsOf<{ people: number }>(dashboard, {
      name: "funnel",
      steps: ["page_viewed", "product_viewed", "order_paid"],
    })
    const [, second = 0, last = 0] = steps.map(({ people }) => people)
    await eventuallyPasses(async () =>
      expect(await follow(page, page.getByRole("link", { name: `${count(second)} visitors` }).first())).toBe(
        second,
      ),
    )
    const chip = page.locator(".people-selection")
    const words = "Visitors who reached step 2 (product_viewed) of Purchase"
    await eventuallyPasses(async () => expect(await textOf(chip)).toBe(words))
    await page.reload()
    await eventuallyPasses(async () => expect(await peopleOn(page)).toBe(second))
    await eventuallyPasses(async () => expect(await textOf(chip)).toBe(words))
    await page.goBack()
    const droppedOff = page.getByRole("link", { name: `${count(second - last)} dropped off` })
    await eventuallyPasses(async () => expect(await follow(page, droppedOff)).toBe(second - last))
    await eventuallyPasses(async () =>
      expect(await textOf(chip)).toBe("Visitors who dropped off after step 2 (product_viewed) of Purchase"),
    )
    await page.getByRole("button", { name: "Remove selection: Visitors who dropped off" }).click()
    await page.getByText("Visitors active in this range").waitFor()
    expect(new URL(page.url()).search).toBe("")
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a cell of a cohort leads to the people who returned, and a session leads to its visitor", async () => {
    const { page, faults } = await openPage("/w/SITE/retention?step=page_viewed&step=order_paid&show=people")
    const cell = page.locator("tbody tr").nth(2).locator("td").nth(2)
    const returned = numberOf(await textOf(cell))
    expect(returned).toBeGreaterThan(0)
    await eventuallyPasses(async () => expect(await follow(page, cell.getByRole("link"))).toBe(returned))
    await eventuallyPasses(async () =>
      expect(await textOf(page.locator(".people-selection"))).toMatch(
        /^Visitors whose first page_viewed was in the week of .+, and who returned with order_paid 1 week later$/,
      ),
    )
    const { href } = new URL(page.url())
    await page.goto(`${href}&from=2020-01-01&to=2020-01-31`)
    await page.getByText("No matching visitors in this range").waitFor()
    await page.goto(href.replace(/people.*/, `${funnel}&unit=session`))
    const sessions = page.locator(".funnels-figures a").last()
    const reached = numberOf((await textOf(sessions)).split(" ")[0])
    await eventuallyPasses(async () => expect(await follow(page, sessions)).toBe(reached))
    await page.getByRole("table").getByRole("link").first().click()
    await page.getByText("First seen").first().waitFor()
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a date in a chart has a menu for mouse and keyboard, with its range, its people and an annotation", async () => {
    const { page, faults } = await openPage("/w/SITE/overview?period=last_7d")
    const chart = page.getByRole("figure", { name: "Events over time" })
    const slider = chart.getByRole("slider")
    const days = await rowsOf<{ date: string; unique_users: number }>(
      dashboard,
      { name: "custom_events_trends" },
      { preset: "last_7d" },
    )
    const day = days[3] ?? { date: "", unique_users: 0 }
    const plot = chart.locator(".u-over")
    const hint = chart.getByText("Drag to zoom")
    await plot.hover({ position: await positionOf(chart, 3) })
    await hint.waitFor()
    await page.getByRole("heading", { level: 1 }).hover()
    await plot.hover({ position: await positionOf(chart, 3) })
    await chart.locator(".chart-tip").waitFor()
    expect(await hint.count()).toBe(0)

    await plot.click({ position: await positionOf(chart, 3) })
    await eventuallyPasses(async () =>
      expect(await follow(page, page.getByRole("link", { name: "Show people for this day" }))).toBe(
        day.unique_users,
      ),
    )
    await eventuallyPasses(async () =>
      expect(await textOf(page.locator(".people-selection"))).toBe("Visitors with an event"),
    )
    await page.goBack()

    await slider.focus()
    for (const key of ["Home", "ArrowRight", "ArrowRight", "ArrowRight"]) await page.keyboard.press(key)
    await eventuallyPasses(async () =>
      expect(await slider.getAttribute("aria-valuetext")).toMatch(/: Events [\d,]+, Previous period [\d,]+$/),
    )
    await page.keyboard.press("Enter")
    const items = chart.locator(".chart-menu li")
    expect(await items.allInnerTexts()).toEqual([
      "Show this day",
      "Show people for this day",
      "Add annotation…",
    ])
    await page.keyboard.press("Escape")
    expect(await slider.evaluate((element) => element === document.activeElement)).toBe(true)

    await page.keyboard.press("Enter")
    await page.getByRole("button", { name: "Add annotation…" }).click()
    const form = page.getByRole("dialog")
    expect(await form.getByLabel("Date").inputValue()).toBe(day.date)
    await form.getByLabel("Text").fill("Release 2.0")
    await form.getByRole("button", { name: "Save" }).click()
    await chart.locator(".mark", { hasText: "Release 2.0" }).waitFor()

    await slider.press("Enter")
    await page.getByRole("link", { name: "Show this day" }).click()
    await page.waitForURL((url) => url.searchParams.get("from") === day.date)
    expect(new URL(page.url()).searchParams.get("to")).toBe(day.date)
    await waitForQueries(page)
    const hours = await rowsOf<{ unique_users: number }>(
      dashboard,
      { name: "custom_events_trends", granularity: "hourly" },
      { preset: undefined, startDate: day.date, endDate: day.date },
    )
    const busiest = hours.reduce((best, row) => (row.unique_users > best.unique_users ? row : best))
    const openHour = async () => {
      await slider.press("Home")
      for (let hour = hours.indexOf(busiest); hour > 0; hour--) await slider.press("ArrowRight")
      await slider.press("Enter")
    }
    await openHour()
    expect(await items.allInnerTexts()).toEqual([
      "Show this hour",
      "Show people for this hour",
      "Add annotation…",
    ])
    const ofHour = page.getByRole("link", { name: "Show people for this hour" })
    await eventuallyPasses(async () => expect(await follow(page, ofHour)).toBe(busiest.unique_users))
    await page.goBack()
    await openHour()
    await page.getByRole("link", { name: "Show this hour" }).click()
    await page.waitForURL((url) => url.searchParams.has("hour"))
    await waitForQueries(page)
    const [visitors] = (
      await page.locator(".stat", { hasText: "Visitors" }).locator(".stat-value").allInnerTexts()
    ).map(numberOf)
    expect(visitors).toBe(busiest.unique_users)
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("rows and values lead to their people, but not in a share link", async () => {
    const { page, faults } = await openPage("/w/SITE/events")
    const visitors = page.getByRole("row", { name: "order_paid" }).locator(".people-link")
    const buyers = numberOf(await textOf(visitors))
    await eventuallyPasses(async () => expect(await follow(page, visitors)).toBe(buyers))
    await page.goto(page.url().replace(/people.*/, "event?name=order_paid"))
    await page.getByRole("link", { name: /people with plan pro$/ }).click()
    const filters = [
      { field: "event_name", op: "eq", value: "order_paid" },
      { field: "property.plan", op: "eq", value: "pro" },
    ]
    const [pro] = await rowsOf<{ unique_users: number }>(dashboard, {
      name: "custom_events_summary",
      filters,
    })
    await page.getByRole("heading", { level: 1, name: "People" }).waitFor()
    await eventuallyPasses(async () => expect(await peopleOn(page)).toBe(pro?.unique_users ?? -1))
    await dashboard.close(page)

    const { link } = await dashboard.api<{ link: string }>(`shares?website_id=${dashboard.site}`, {
      method: "POST",
      body: JSON.stringify({ name: "Shared", path: funnel, expiresAt: null }),
    })
    const shared = await dashboard.open(link, { isLoggedIn: false })
    await shared.page.getByText("dropped off").first().waitFor()
    await eventuallyPasses(async () => expect(await shared.page.locator(".people-link").count()).toBe(0))
    await shared.page.goto(shared.page.url().replace(/funnels.*/, "overview?period=last_7d"))
    const chart = shared.page.getByRole("figure", { name: "Events over time" })
    await chart.getByRole("slider").press("Enter")
    await eventuallyPasses(async () =>
      expect(await chart.locator(".chart-menu li").allInnerTexts()).toEqual(["Show this day"]),
    )
    expect([...faults, ...shared.faults]).toEqual([])
    await shared.page.context().close()
  })
})

async function textOf(locator: Locator): Promise<string> {
  return (await locator.textContent()) ?? ""
}

/** Returns the number of people that the list shows above its rows. */
async function peopleOn(page: Page): Promise<number> {
  await page.getByText("most recent first").waitFor()
  await waitForQueries(page)
  return numberOf((await textOf(page.locator(".panel-hint"))).split(" ")[0])
}
