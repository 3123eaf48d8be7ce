import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Locator, Page } from "playwright-core"
import { maxTiles } from "../../src/boards/schema.ts"
import { eventuallyPasses } from "../harness.ts"
import { violations } from "./axe.ts"
import { createBoard, shopTiles } from "./board.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForPage, waitForQueries } from "./browser.ts"
import { cellsOf, chooseAction, count, numberOf, rowsOf } from "./helpers.ts"
import { sendQuality } from "./page-quality.ts"

interface Tile {
  id: string
  title: string
  x: number
  y: number
  width: number
  height: number
}

/** ms between two updates of a wallboard. */
const minute = 60_000

/** Pages with something to pin, and tabs of their tables and charts. */
const pinnable: { path: string; ready: string; tabs?: string[] }[] = [
  {
    path: "/w/SITE/web",
    ready: "google.com",
    tabs: ["Entry", "Exit", "Time", "Channels", "Campaign", "Browser", "System", "Language", "Screen"],
  },
  { path: "/w/SITE/overview", ready: "page_viewed", tabs: ["By event"] },
  { path: "/w/SITE/events", ready: "order_paid" },
  {
    path: "/w/SITE/event?name=order_paid&split=property.plan&split=country",
    ready: "coupon",
    tabs: ["Visitors"],
  },
  { path: "/w/SITE/funnels?step=page_viewed&step=order_paid&unit=session&window=1d", ready: "order_paid" },
  { path: "/w/SITE/retention?step=page_viewed&by=daily&period=last_7d", ready: "visitors" },
  { path: "/w/SITE/goals?step=order_paid", ready: "order_paid" },
  { path: "/w/SITE/goals?step=order_paid&step=signed_up", ready: "signed_up" },
  { path: "/w/SITE/errors", ready: "cart.items" },
  { path: "/w/SITE/vitals?metric=CLS", ready: "/checkout" },
  { path: "/w/SITE/engagement", ready: "Top field" },
]

/** Pins each metric that a pin button offers. */
async function pinAll(page: Page, button: Locator): Promise<void> {
  const dialog = page.getByRole("dialog", { name: "Pin to board" })
  for (let choice = 0; ; choice++) {
    await button.click()
    await dialog.getByRole("combobox", { name: "Board" }).selectOption({ label: "Growth" })
    const numbers = dialog.getByRole("combobox", { name: "Metric" })
    const count = await numbers.locator("option").count()
    if (count > 0) await numbers.selectOption({ index: choice })
    await dialog.getByRole("button", { name: "Pin", exact: true }).click()
    await dialog.waitFor({ state: "detached" })
    if (choice + 1 >= count) return
  }
}

describe.skipIf(noBrowser)(`boards${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard({ pageViews: true })
  })
  afterAll(async () => {
    await dashboard?.[Symbol.asyncDispose]()
  })

  const tilesOf = async (id: string) =>
    (await dashboard.api<{ board: { tiles: Tile[] } }>(`boards/${id}`)).board.tiles

  const tile = (page: Page, name: string) =>
    page.locator(".tile").filter({ has: page.getByRole("heading", { name }) })

  const send = async (events: object[]) => {
    const response = await fetch(`${dashboard.server.url}/track`, {
      method: "POST",
      headers: { authorization: `Bearer ${dashboard.server.key}` },
      body: JSON.stringify(events),
    })
    expect(response.status).toBe(200)
  }

  /** Selects a board in the dialog, once the menu lists it. */
  const choose = async (dialog: Locator, label: string) => {
    await dialog.getByRole("combobox", { name: "Board" }).selectOption({ label })
  }

  /** Clicks a pin button of the page, fills in the dialog and confirms it. */
  const pin = async (page: Page, button: string, fill: (dialog: Locator) => Promise<void>) => {
    await page.getByRole("button", { name: button }).click()
    const dialog = page.getByRole("dialog", { name: "Pin to board" })
    await fill(dialog)
    await dialog.getByRole("button", { name: "Pin", exact: true }).click()
    await page.getByText("pinned to").waitFor()
  }

  test("a number, a chart and a funnel can be pinned, and look the same as on their pages", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/overview?f=exists:property.plan:true")
    await waitForPage(page, "order_paid")
    await pin(page, "Pin a key metric", async (dialog) => {
      await dialog.getByRole("combobox", { name: "Metric" }).selectOption("Sessions")
      await choose(dialog, "New board…")
      await dialog.getByLabel("Name of the new board").fill("Sales")
    })
    await page.goto(`/w/${dashboard.site}/event?name=order_paid&show=visitors`)
    await waitForPage(page, "coupon")
    await pin(page, "Pin order_paid: visitors over time to board", async (dialog) => {
      await dialog.getByLabel("Title").fill("Buyers")
      await choose(dialog, "Sales")
    })
    await page.goto(`/w/${dashboard.site}/funnels?step=page_viewed&step=order_paid`)
    await waitForPage(page, "Funnel steps")
    await pin(page, "Pin page_viewed → order_paid to board", (dialog) => choose(dialog, "Sales"))

    await page.getByRole("link", { name: "Boards" }).click()
    await page.getByRole("link", { name: "Sales" }).click()
    await page.getByRole("heading", { level: 1, name: "Sales" }).waitFor()
    await waitForPage(page, "page_viewed → order_paid")
    const filters = [{ field: "property.plan", op: "exists", value: true }]
    const [summary] = await rowsOf<{ unique_sessions: number }>(dashboard, {
      name: "custom_events_summary",
      filters,
    })
    await tile(page, "Sessions").getByText("plan is set").waitFor()
    await eventuallyPasses(async () =>
      expect(await tile(page, "Sessions").locator(".stat-value").textContent()).toBe(
        count(summary?.unique_sessions ?? -1),
      ),
    )
    const chart = tile(page, "Buyers").getByRole("figure")
    await chooseAction(chart, "Show as table")
    const days = await rowsOf<{ unique_users: number }>(dashboard, {
      name: "custom_events_trends",
      filters: [{ field: "event_name", op: "eq", value: "order_paid" }],
    })
    const cells = await cellsOf(chart.getByRole("table"))
    expect(cells.map(([, value]) => value)).toEqual(days.map(({ unique_users }) => count(unique_users)))
    const steps = await rowsOf<{ people: number }>(dashboard, {
      name: "funnel",
      steps: ["page_viewed", "order_paid"],
    })
    const funnel = await tile(page, "page_viewed → order_paid").locator(".funnels-figures").allInnerTexts()
    expect(funnel.map((text) => numberOf(text.split(" ")[0]))).toEqual(steps.map(({ people }) => people))

    await page.getByRole("button", { name: /^Range:/ }).click()
    await page.getByRole("button", { name: "Last 7 days" }).click()
    const [week] = await rowsOf<{ unique_sessions: number }>(
      dashboard,
      { name: "custom_events_summary", filters },
      { preset: "last_7d" },
    )
    await tile(page, "Sessions")
      .getByText(count(week?.unique_sessions ?? -1), { exact: true })
      .waitFor()
    await page.getByRole("link", { name: "Buyers" }).click()
    await page.getByRole("heading", { level: 1, name: "order_paid" }).waitFor()
    expect(new URL(page.url()).search).toBe("?period=last_7d&name=order_paid&show=visitors")
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("everything that can be pinned is accepted and has data on a board", async () => {
    await sendQuality(dashboard.server.url, dashboard.site, 20)
    const { page, faults } = await dashboard.open("/w/SITE/boards")
    const pinned: Record<string, unknown>[] = []
    await page.route("**/v1/boards/*/tiles", async (route) => {
      pinned.push(route.request().postDataJSON())
      await route.fulfill({ status: 201, json: { success: true, board: { name: "Any" } } })
    })
    await createBoard(dashboard, [])
    for (const { path, ready, tabs = [] } of pinnable) {
      await page.goto(path.replace("SITE", dashboard.site))
      await waitForPage(page, ready)
      for (const button of await page.locator(".pin").all()) await pinAll(page, button)
      for (const name of tabs) {
        const tab = page.locator(".segmented").getByRole("button", { name, exact: true })
        await tab.click()
        await waitForQueries(page)
        await pinAll(page, page.locator(".panel").filter({ has: tab }).locator(".pin"))
      }
    }
    const unique = new Map(
      pinned.map(({ title, ...tile }) => [JSON.stringify({ ...tile, path: "" }), { ...tile, title }]),
    )
    const tiles = [...unique.values()]
    expect(tiles.length).toBeGreaterThan(45)
    for (let from = 0; from < tiles.length; from += maxTiles) {
      const id = await createBoard(dashboard, tiles.slice(from, from + maxTiles))
      await page.goto(`/w/${dashboard.site}/boards?id=${id}`)
      await waitForPage(page, String(tiles[from]?.title))
      await eventuallyPasses(async () => expect(await page.getByRole("alert").count()).toBe(0))
      await eventuallyPasses(async () =>
        expect(await page.getByText("No data in this range").count()).toBe(0),
      )
      await eventuallyPasses(async () =>
        expect(await page.locator(".stat-value").getByText("–").count()).toBe(0),
      )
    }
    expect(faults).toEqual([])
    await dashboard.close(page)
  }, 120_000)

  test("tiles can be arranged with the keyboard and the pointer, and the layout is saved", async () => {
    const id = await createBoard(dashboard)
    const { page, faults } = await dashboard.open(`/w/SITE/boards?id=${id}`)
    await waitForPage(page, "Return visits")
    await page.getByRole("button", { name: "Arrange" }).click()
    const status = page.getByRole("main").getByRole("status")
    const first = page.getByRole("group", { name: /^Orders and more:/ })
    await first.focus()
    await page.keyboard.press("ArrowRight")
    await status.getByText("Orders and more: column 4, row 1, 3 columns wide, 2 rows high").waitFor()
    await page.keyboard.press("Shift+ArrowDown")
    await status.getByText("Orders and more: column 4, row 1, 3 columns wide, 3 rows high").waitFor()
    await page.keyboard.press("ArrowUp")
    await status.getByText("Orders and more: no change").waitFor()
    await eventuallyPasses(async () =>
      expect(await first.evaluate((element) => element === document.activeElement)).toBe(true),
    )
    expect(await violations(page)).toEqual([])

    const funnel = page.getByRole("group", { name: /^Purchase:/ })
    const box = await funnel.boundingBox()
    const grid = await page.locator(".board").boundingBox()
    if (!box || !grid) throw new Error("the board has no size")
    await page.mouse.move(box.x + 40, box.y + 20)
    await page.mouse.down()
    await page.mouse.move(grid.x + 60, grid.y + 25, { steps: 5 })
    await page.mouse.up()
    const expected = (
      await page.locator(".tile").evaluateAll((tiles) => tiles.map((one) => one.ariaLabel))
    ).join("\n")
    expect(expected).toMatch(/^Purchase: column 1, row 1,/)
    await page.getByRole("button", { name: "Save layout" }).click()
    await page.getByText("Layout saved").waitFor()
    await page.reload()
    await waitForPage(page, "Return visits")
    const saved = await tilesOf(id)
    expect(
      saved
        .map(
          ({ title, x, y, width, height }) =>
            `${title}: column ${x + 1}, row ${y + 1}, ${width} columns wide, ${height} rows high`,
        )
        .join("\n"),
    ).toBe(expected)
    await eventuallyPasses(async () =>
      expect(await page.locator(".tile h2").allInnerTexts()).toEqual(saved.map(({ title }) => title)),
    )
    const [top] = await page.locator(".tile").all()
    expect((await top?.boundingBox())?.height).toBeCloseTo(box.height, 0)
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a layout that someone else has changed in the meantime is not overwritten", async () => {
    const id = await createBoard(dashboard, shopTiles.slice(0, 2))
    const { page } = await dashboard.open(`/w/SITE/boards?id=${id}`)
    await waitForPage(page, "Visitors")
    await page.getByRole("button", { name: "Arrange" }).click()
    await page.getByRole("group", { name: /^Visitors:/ }).press("ArrowLeft")
    await dashboard.api(`boards/${id}/tiles`, { method: "POST", body: JSON.stringify(shopTiles[2]) })
    await page.getByRole("button", { name: "Save layout" }).click()
    await page.getByText("The board has changed since revision 1").waitFor()
    expect(await tilesOf(id)).toHaveLength(3)
    await dashboard.close(page)
  })

  test("boards and tiles can be renamed and removed", async () => {
    const id = await createBoard(dashboard, shopTiles.slice(0, 2))
    const { page, faults } = await dashboard.open(`/w/SITE/boards?id=${id}`)
    await waitForPage(page, "Visitors")
    const choose = async (name: string, action: string) => {
      await page.getByRole("button", { name: `More actions for ${name}` }).click()
      await page.getByRole("button", { name: `${action}…` }).click()
    }
    await choose("Visitors", "Rename")
    await page.getByRole("textbox", { name: "Name" }).fill("People")
    await page.keyboard.press("Enter")
    await tile(page, "People").waitFor()
    await choose("Orders and more", "Remove")
    await page.getByRole("button", { name: "Remove", exact: true }).click()
    await page.getByText("“Orders and more” removed").waitFor()
    expect((await tilesOf(id)).map(({ title }) => title)).toEqual(["People"])
    await choose("Growth", "Rename")
    await page.getByRole("textbox", { name: "Name" }).fill("To delete")
    await page.keyboard.press("Enter")
    await page.getByRole("heading", { level: 1, name: "To delete" }).waitFor()
    await choose("To delete", "Delete")
    await page.getByText("The board and its tile will be deleted for all users.").waitFor()
    await page.getByRole("button", { name: "Delete", exact: true }).click()
    await page.getByRole("heading", { level: 1, name: "Boards" }).waitFor()
    await page.getByText("“To delete” deleted").waitFor()
    await eventuallyPasses(async () =>
      expect(await page.getByRole("link", { name: "To delete" }).count()).toBe(0),
    )
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a wallboard has no navigation, updates every minute while visible, and survives failures", async () => {
    const id = await createBoard(dashboard, shopTiles.slice(0, 2))
    const { page, faults } = await dashboard.open("/w/SITE/boards")
    await page.clock.install()
    await page.goto(`/w/${dashboard.site}/boards?id=${id}&mode=wallboard&period=today`)
    const value = tile(page, "Orders and more").locator(".stat-value")
    await waitForQueries(page)
    const before = numberOf((await value.textContent()) ?? "")
    await eventuallyPasses(async () => expect(await page.getByRole("navigation").count()).toBe(0))
    expect(await violations(page)).toEqual([])

    await send(
      [1, 2, 3].map((n) => ({ name: "order_paid", websiteId: dashboard.site, anonymousId: `w${n}` })),
    )
    await page.clock.fastForward(minute)
    await value.getByText(count(before + 3), { exact: true }).waitFor()

    let queries = 0
    page.on("request", (request) => {
      if (request.url().includes("/v1/query")) queries++
    })
    const hide = (isHidden: boolean) =>
      page.evaluate((hidden) => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden })
        document.dispatchEvent(new Event("visibilitychange"))
      }, isHidden)
    await hide(true)
    await page.clock.fastForward(5 * minute)
    expect(queries).toBe(0)
    await hide(false)
    await page.waitForResponse(/\/v1\/query/)

    await page.route("**/v1/query?*", (route) => route.abort())
    await page.clock.fastForward(minute)
    await page.getByText("Not updated since").first().waitFor()
    expect(numberOf((await value.textContent()) ?? "")).toBe(before + 3)
    await page.unroute("**/v1/query?*")
    await page.clock.fastForward(minute)
    await page.getByText("Not updated since").first().waitFor({ state: "detached" })
    expect(faults.filter((fault) => !fault.includes("ERR_FAILED"))).toEqual([])

    await page.keyboard.press("Escape")
    await page.getByRole("navigation", { name: "Pages" }).waitFor()
    expect(new URL(page.url()).search).toBe(`?id=${id}&period=today`)
    await page.context().close()
  })

  test("on a phone, the tiles are stacked", async () => {
    const id = await createBoard(dashboard)
    const { page } = await dashboard.open(`/w/SITE/boards?id=${id}`, {
      viewport: { width: 390, height: 844 },
    })
    await waitForPage(page, "Return visits")
    const boxes = await Promise.all((await page.locator(".tile").all()).map((one) => one.boundingBox()))
    expect(new Set(boxes.map((box) => box?.x)).size).toBe(1)
    await eventuallyPasses(async () =>
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBe(0),
    )
    await eventuallyPasses(async () =>
      expect(await page.getByRole("button", { name: "Arrange" }).isVisible()).toBe(false),
    )
    await dashboard.close(page)
  })

  test("all websites are compared in a chart and a table, and can have their own board", async () => {
    const body = JSON.stringify({ domain: "blog.example", name: "Blog" })
    const { website } = await dashboard.api<{ website: { id: string } }>("websites", { method: "POST", body })
    await send([1, 2].map((n) => ({ name: "read", websiteId: website.id, anonymousId: `b${n}` })))
    const { page, faults } = await dashboard.open("/w/all/overview")
    const table = page.getByRole("table", { name: "Websites" })
    await table.getByText("Blog").waitFor()
    await waitForQueries(page)
    const rows = await cellsOf(table)
    expect(rows.map(([name]) => name)).toEqual(["localhost", "Blog"])
    const [visitors] = await rowsOf<{ users: number }>(dashboard, {
      name: "events",
      measures: ["users"],
      kinds: ["custom", "page_view"],
    })
    const [views] = await rowsOf<{ pageviews: number }>(dashboard, { name: "summary_metrics" })
    const [events] = await rowsOf<{ total_events: number }>(dashboard, { name: "custom_events_summary" })
    const numbers = rows.map((row) => [1, 5, 7].map((at) => row[at]))
    expect(numbers).toEqual([
      [visitors?.users, views?.pageviews, events?.total_events].map((value) => count(value ?? -1)),
      ["2", "0", "2"],
    ])
    const chart = page.getByRole("figure", { name: "Visitors by website" })
    await eventuallyPasses(async () =>
      expect(await chart.locator(".legend li").allInnerTexts()).toEqual(["localhost", "Blog"]),
    )
    expect(await violations(page)).toEqual([])
    await pin(page, "Pin Visitors by website to board", async (dialog) => {
      await choose(dialog, "New board…")
      await dialog.getByLabel("Name of the new board").fill("Everything")
    })
    await page.goto(`/w/${website.id}/events`)
    await waitForPage(page, "read")
    await pin(page, "Pin Events to board", (dialog) => choose(dialog, "Everything"))
    await page.getByRole("link", { name: "Boards" }).click()
    await page.getByRole("link", { name: "Everything" }).click()
    await tile(page, "Events").getByText("Blog").waitFor()
    await waitForQueries(page)
    expect(new URL(page.url()).pathname).toBe("/w/all/boards")
    await eventuallyPasses(async () =>
      expect(await tile(page, "Visitors by website").locator(".legend li").allInnerTexts()).toEqual([
        "localhost",
        "Blog",
      ]),
    )
    expect((await cellsOf(tile(page, "Events").getByRole("table")))[0]?.slice(0, 2)).toEqual(["read", "2"])
    expect(faults).toEqual([])
    await dashboard.close(page)
  })
})
