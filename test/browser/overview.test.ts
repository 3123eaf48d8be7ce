import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Locator, Page } from "playwright-core"
import { eventuallyPasses } from "../harness.ts"
import { violations } from "./axe.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForPage, waitForQueries } from "./browser.ts"
import { cellsOf, chooseAction, count, dayAgo, numberOf, totalsOf } from "./helpers.ts"

interface Summary {
  total_events: number
  unique_users: number
  unique_sessions: number
  unique_event_types: number
}

describe.skipIf(noBrowser)(`the overview${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard()
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  const runQuery = async <Row>(body: object) => {
    const { data } = await dashboard.api<{ data: { data: Row[] }[] }>(`query?website_id=${dashboard.site}`, {
      method: "POST",
      body: JSON.stringify(body),
    })
    return data[0]?.data ?? []
  }

  const ranges = [
    { name: "the last 30 days", query: "", body: { preset: "last_30d" } },
    { name: "last week", query: "?period=last_week", body: { preset: "last_week" } },
    {
      name: "a custom range",
      query: `?from=${dayAgo(20)}&to=${dayAgo(11)}`,
      body: { startDate: dayAgo(20), endDate: dayAgo(11) },
    },
    {
      name: "a time zone",
      query: "?period=last_7d&tz=Pacific/Auckland",
      body: { preset: "last_7d", timeZone: "Pacific/Auckland" },
    },
    {
      name: "a filter",
      query: "?f=eq:property.plan:pro",
      body: { preset: "last_30d", filters: [{ field: "property.plan", op: "eq", value: "pro" }] },
    },
    {
      name: "two filters",
      query: "?f=gt:property.total:20&f=in:event_name:%5B%22order_paid%22%2C%22checkout_started%22%5D",
      body: {
        preset: "last_30d",
        filters: [
          { field: "property.total", op: "gt", value: 20 },
          { field: "event_name", op: "in", value: ["order_paid", "checkout_started"] },
        ],
      },
    },
  ]
  test.each(ranges)("shows the same numbers as the API for $name", async ({ query, body }) => {
    const { page, faults } = await dashboard.open(`/w/SITE/overview${query}`)
    await page.locator(".stat-value").first().waitFor()
    const [summary] = await runQuery<Summary>({ ...body, parameters: ["custom_events_summary"] })
    const top = await runQuery<{ name: string; total_events: number; unique_users: number }>({
      ...body,
      parameters: [{ name: "custom_events", limit: 10 }],
    })
    await eventuallyPasses(async () =>
      expect(await totalsOf(page)).toEqual([
        summary?.total_events ?? -1,
        summary?.unique_users ?? -1,
        summary?.unique_sessions ?? -1,
        summary?.unique_event_types ?? -1,
      ]),
    )
    const rows = await page.getByRole("table", { name: "Top events" }).locator("tbody tr").all()
    const shown = await Promise.all(rows.map((row) => row.locator("td").allInnerTexts()))
    expect(shown.map(([name, events, people]) => [name, numberOf(events), numberOf(people)])).toEqual(
      top.map((row) => [row.name, row.total_events, row.unique_users]),
    )
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  const months = { startDate: dayAgo(55), endDate: dayAgo(1) }
  const steps = [
    { granularity: "hourly", query: "period=yesterday", body: { preset: "yesterday" } },
    { granularity: "daily", query: "period=last_7d", body: { preset: "last_7d" } },
    { granularity: "weekly", query: `from=${months.startDate}&to=${months.endDate}`, body: months },
    { granularity: "monthly", query: `from=${months.startDate}&to=${months.endDate}`, body: months },
  ]
  test.each(steps)("the chart's $granularity table adds up to the API's numbers", async (given) => {
    const { granularity, query, body } = given
    const { page } = await dashboard.open(
      `/w/SITE/overview?${query}&by=${granularity}&stack=event&compare=off`,
    )
    const chart = page.getByRole("figure", { name: "Events over time" })
    await chooseAction(chart, "Show as table")
    const rows = await chart.locator("tbody tr").all()
    const cells = await Promise.all(rows.map((row) => row.locator("td.number").allInnerTexts()))
    const dates = await runQuery<{ total_events: number }>({
      ...body,
      parameters: [{ name: "custom_events_trends", granularity }],
    })
    expect(dates.some((row) => row.total_events > 0)).toBe(true)
    expect(cells.map((row) => row.reduce((sum, text) => sum + numberOf(text), 0))).toEqual(
      dates.map((row) => row.total_events),
    )
    await dashboard.close(page)
  })

  const choices = [
    { label: "Events", show: null, column: "total_events" },
    { label: "Visitors", show: "visitors", column: "unique_users" },
    { label: "Sessions", show: "sessions", column: "unique_sessions" },
    { label: "Event types", show: "types", column: "unique_event_types" },
  ] as const
  test("the chart shows the number that is clicked, with the previous period", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/overview?period=last_7d")
    const trend = await runQuery<Summary & { previous: Summary }>({
      preset: "last_7d",
      parameters: [{ name: "custom_events_trends", granularity: "daily", compare: "previous_period" }],
    })
    // Returns to the default at the end.
    for (const { label, show, column } of [...choices, choices[0]]) {
      const button = metrics(page).getByRole("button", { name: label, exact: true })
      await button.click()
      const chart = page.getByRole("figure", { name: `${label} over time` })
      const cells = await cellsOf(chart.getByRole("table"))
      expect(cells.map(([, ...numbers]) => numbers.map(numberOf))).toEqual(
        trend.map((row) => [row[column], row.previous[column]]),
      )
      await eventuallyPasses(async () => expect(await button.getAttribute("aria-pressed")).toBe("true"))
      await eventuallyPasses(async () => expect(await page.locator("dt [aria-pressed=true]").count()).toBe(1))
      expect(new URL(page.url()).searchParams.get("show")).toBe(show)
    }
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a number can be chosen with the keyboard and in the URL, and only events can be stacked", async () => {
    const { page } = await dashboard.open("/w/SITE/overview?period=last_7d&show=sessions&stack=event")
    const chart = page.getByRole("figure", { name: "Sessions over time" })
    await chart.waitFor()
    await eventuallyPasses(async () =>
      expect(await page.getByRole("button", { name: "By event" }).count()).toBe(0),
    )
    await metrics(page).getByRole("button", { name: "Events", exact: true }).focus()
    await page.keyboard.press("Enter")
    const events = page.getByRole("figure", { name: "Events over time" })
    await events.locator(".legend").getByText("page_viewed").waitFor()
    await page.getByRole("button", { name: "Total", exact: true }).click()
    await events.locator(".legend").getByText("page_viewed").waitFor({ state: "detached" })
    await eventuallyPasses(async () =>
      expect(await events.locator(".legend li").allTextContents()).toEqual(["Events", "Previous period"]),
    )
    expect(new URL(page.url()).search).toBe("?period=last_7d")
    await dashboard.close(page)
  })

  test("a dark chart is printed in the colors of its legend", async () => {
    const { page } = await dashboard.open("/w/SITE/overview?stack=event", { colorScheme: "dark" })
    await waitForPage(page, "page_viewed")
    await page.emulateMedia({ media: "print" })
    const chart = page.getByRole("figure", { name: "Events over time" })
    const legend = await chart
      .locator(".legend li")
      .first()
      .evaluate((entry) => getComputedStyle(entry, "::before").backgroundColor)
    const drawn = await chart.locator("canvas").evaluate((canvas: HTMLCanvasElement) => {
      const { data } = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height) ?? {
        data: [],
      }
      const found = new Set<string>()
      for (let at = 0; at < data.length; at += 4)
        if (data[at + 3] === 255) found.add(`rgb(${data[at]}, ${data[at + 1]}, ${data[at + 2]})`)
      return [...found]
    })
    expect(drawn).toContain(legend)
    await dashboard.close(page)
  })

  test("visitors with an event in the last five minutes count as active", async () => {
    const response = await fetch(`${dashboard.server.url}/track`, {
      method: "POST",
      headers: { authorization: `Bearer ${dashboard.server.key}` },
      body: JSON.stringify({ name: "page_viewed", anonymousId: "just here", websiteId: dashboard.site }),
    })
    expect(response.status).toBe(200)
    const [active] = await runQuery<{ users: number }>({
      startDate: new Date(Date.now() - 300_000).toISOString(),
      endDate: new Date(Date.now() + 60_000).toISOString(),
      parameters: [{ name: "events", measures: ["users"] }],
    })
    expect(active?.users).toBeGreaterThan(0)
    const { page } = await dashboard.open("/w/SITE/overview")
    await page.getByText(`${active?.users} active now`).waitFor()
    await dashboard.close(page)
  })

  test("the movers are the events that changed most in relation to their size", async () => {
    const week = { preset: "last_7d", parameters: [{ name: "custom_events", compare: "previous_period" }] }
    const rows = await runQuery<{ name: string; total_events: number; previous: { total_events: number } }>(
      week,
    )
    const deviations = rows.map(({ name, total_events: now, previous: { total_events: before } }) => ({
      name,
      size: (now - before) / Math.sqrt(Math.max(1, now + before)),
    }))
    const rose = deviations.filter(({ size }) => size >= 2).sort((a, b) => b.size - a.size)
    const fell = deviations.filter(({ size }) => size <= -2).sort((a, b) => a.size - b.size)
    const { page, faults } = await dashboard.open("/w/SITE/overview?period=last_7d")
    for (const [title, expected] of [
      ["Largest decreases", fell],
      ["Largest increases", rose],
    ] as const) {
      const list = page.getByRole("region", { name: title })
      await list.locator("li").first().waitFor()
      await eventuallyPasses(async () =>
        expect(await list.locator(".movers-event a").allInnerTexts()).toEqual(
          expected.slice(0, 3).map(({ name }) => name),
        ),
      )
    }
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a property value that explains a decrease is named, and links to the event filtered by it", async () => {
    const week = 7 * 86_400_000
    const send = (count: number, browser: string, timestamp: number) =>
      Array.from({ length: count }, () => ({
        name: "upload_done",
        timestamp,
        websiteId: dashboard.site,
        properties: { browser, plan: "pro" },
      }))
    const noon = Math.floor(Date.now() / 86_400_000) * 86_400_000 - 2 * 86_400_000
    const events = [
      ...send(100, "Safari", noon - week),
      ...send(60, "Firefox", noon - week),
      ...send(2, "Safari", noon),
      ...send(59, "Firefox", noon),
    ]
    const response = await fetch(`${dashboard.server.url}/track`, {
      method: "POST",
      headers: { authorization: `Bearer ${dashboard.server.key}` },
      body: JSON.stringify(events),
    })
    expect(response.status).toBe(200)
    const { page } = await dashboard.open("/w/SITE/overview?period=last_7d&f=eq:event_name:upload_done")
    const list = page.getByRole("region", { name: "Largest decreases" })
    await list.getByText("almost entirely").waitFor()
    await list.getByText("160 → 61").waitFor()
    await list.getByRole("link", { name: "browser = Safari" }).click()
    await page.getByRole("heading", { name: "upload_done", level: 1 }).waitFor()
    expect(new URL(page.url()).searchParams.getAll("f")).toContain("eq:property.browser:Safari")
    await dashboard.close(page)
  })

  test("empty values are shown in the same way on every page", async () => {
    const response = await fetch(`${dashboard.server.url}/track`, {
      method: "POST",
      headers: { authorization: `Bearer ${dashboard.server.key}` },
      body: JSON.stringify(
        Array.from({ length: 3 }, () => ({
          name: "blank_sent",
          websiteId: dashboard.site,
          properties: { note: "" },
        })),
      ),
    })
    expect(response.status).toBe(200)
    const { page } = await dashboard.open("/w/SITE/overview?period=today&f=eq:event_name:blank_sent")
    await page.getByRole("table", { name: "Top properties" }).getByText("note = empty").waitFor()
    await page.goto(`/w/${dashboard.site}/event?name=blank_sent&period=today`)
    await page.getByRole("table", { name: "Values of note" }).getByText("empty").waitFor()
    await dashboard.close(page)
  })

  test("the range can be compared with last year, matching weekdays or custom dates", async () => {
    const { page } = await dashboard.open("/w/SITE/overview?period=yesterday")
    const note = page.locator(".comparison-note").first()
    await note.getByText("vs.").waitFor()
    await page.getByRole("button", { name: /^Range:/ }).click()
    const choice = page.getByRole("combobox", { name: "Compare to" })
    await choice.selectOption({ label: "Matching weekdays" })
    await note.getByText(shownDay(8)).waitFor()
    await choice.selectOption({ label: "Custom dates" })
    await page.getByLabel("Compare from").fill(dayAgo(20))
    await page.getByLabel("Compare until").fill(dayAgo(20))
    await note.getByText(shownDay(20)).waitFor()
    expect(new URL(page.url()).searchParams.get("compare")).toBe(`${dayAgo(20)}..${dayAgo(20)}`)
    await choice.selectOption({ label: "Same period last year" })
    await page.getByText("No events to compare with in").first().waitFor()
    await choice.selectOption({ label: "Nothing" })
    await note.waitFor({ state: "detached" })
    await eventuallyPasses(async () =>
      expect(await page.getByRole("heading", { name: "What changed" }).count()).toBe(0),
    )
    expect(await violations(page)).toEqual([])
    await dashboard.close(page)
  })

  test("top events can be sorted by their change, including events that fell to zero", async () => {
    const { page } = await dashboard.open("/w/SITE/overview?period=last_7d")
    const table = page.getByRole("table", { name: "Top events" })
    await table.getByRole("button", { name: "Change" }).click()
    await table.locator("th[aria-sort=descending]", { hasText: "Change" }).waitFor()
    await table.getByRole("button", { name: "Change" }).click()
    await table.locator("th[aria-sort=ascending]", { hasText: "Change" }).waitFor()
    const rows = await runQuery<{ name: string }>({
      preset: "last_7d",
      parameters: [
        { name: "custom_events", compare: "previous_period", sortBy: "change", sortOrder: "asc", limit: 10 },
      ],
    })
    await table
      .locator("tbody tr")
      .first()
      .filter({ hasText: rows[0]?.name ?? "" })
      .waitFor()
    const shown = await table.locator("tbody tr td:first-child").allInnerTexts()
    expect(shown).toEqual(rows.map(({ name }) => name))
    await dashboard.close(page)
  })

  const compared = [
    { name: "today", query: "?period=today", text: `${shownDay(1)} \\(to \\d\\d:\\d\\d\\)` },
    { name: "yesterday", query: "?period=yesterday", text: shownDay(2) },
    {
      name: "the last 24 hours",
      query: "?period=last_24h",
      text: `${shownDay(2)}, \\d\\d:\\d\\d . ${shownDay(1)}, \\d\\d:\\d\\d`,
    },
  ]
  test.each(compared)("shows what $name is compared to", async ({ query, text }) => {
    const { page, faults } = await dashboard.open(`/w/SITE/overview${query}`)
    const note = page.locator(".comparison-note")
    await note.getByText(/\d{4}/).waitFor()
    // Early in the day, no event of the shop is old enough to compare today with.
    await eventuallyPasses(async () =>
      expect(await note.textContent()).toMatch(
        new RegExp(`^(?:vs\\.|No events to compare with in) ${text}$`),
      ),
    )
    await page.keyboard.press("c")
    await page.locator(".comparison-note").waitFor({ state: "detached" })
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("clicking a value adds a filter to the page and its URL, and the filter can be removed", async () => {
    const { page } = await dashboard.open("/w/SITE/overview")
    const total = await firstNumber(page)
    await page.getByRole("link", { name: "Filter by gift = false" }).click()
    await page.getByRole("button", { name: "Edit filter gift is false" }).waitFor()
    expect(new URL(page.url()).searchParams.getAll("f")).toEqual(["eq:property.gift:false"])
    await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" })
    await eventuallyPasses(async () => expect(await firstNumber(page)).toBeLessThan(total))
    await page.getByRole("button", { name: "Remove filter gift is false" }).click()
    await page.getByRole("button", { name: "Remove filter gift is false" }).waitFor({ state: "detached" })
    await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" })
    await eventuallyPasses(async () => expect(await firstNumber(page)).toBe(total))
    await page.goBack()
    await page.getByRole("button", { name: "Edit filter gift is false" }).waitFor()
    await dashboard.close(page)
  })

  test("an invalid filter in the URL is reported", async () => {
    const { page } = await dashboard.open("/w/SITE/overview?f=IN:property.plan:pro&f=eq:property.gift:false")
    await page.getByRole("button", { name: "Edit filter gift is false" }).waitFor()
    await eventuallyPasses(async () =>
      expect(await page.getByRole("alert").textContent()).toEndWith("in the URL: IN:property.plan:pro"),
    )
    await page.getByRole("button", { name: "Remove filter gift is false" }).click()
    await page.getByRole("alert").waitFor({ state: "detached" })
    await dashboard.close(page)
  })

  test("a second value of a property becomes an alternative, and a click on a value removes it", async () => {
    const { page } = await dashboard.open("/w/SITE/overview?period=last_7d&f=eq:property.plan:team")
    await page.locator(".stat-value").first().waitFor()
    await typeFilter(page, "property.plan", "pro")
    await page.getByRole("button", { name: "Edit filter plan is one of team, pro" }).waitFor()
    expect(new URL(page.url()).searchParams.getAll("f")).toEqual(['in:property.plan:["team","pro"]'])
    await waitForQueries(page)
    const filters = [{ field: "property.plan", op: "in", value: ["team", "pro"] }]
    const [summary] = await runQuery<Summary>({
      preset: "last_7d",
      filters,
      parameters: ["custom_events_summary"],
    })
    expect(summary?.total_events).toBeGreaterThan(0)
    await eventuallyPasses(async () => expect(await firstNumber(page)).toBe(summary?.total_events ?? -1))
    const { search } = new URL(page.url())
    await page.goto(`/w/${dashboard.site}/event${search}&name=order_paid`)
    const pro = page.getByRole("button", { name: "pro", exact: true, pressed: true })
    await pro.first().click()
    await page.getByRole("button", { name: "Edit filter plan is team" }).waitFor()
    expect(new URL(page.url()).searchParams.getAll("f")).toEqual(["eq:property.plan:team"])
    await dashboard.close(page)
  })

  test("a filter can be added with the keyboard only", async () => {
    const { page } = await dashboard.open("/w/SITE/overview")
    await page.locator(".stat-value").first().waitFor()
    await typeFilter(page, "property.plan", "team")
    await page.getByRole("button", { name: "Edit filter plan is team" }).waitFor()
    await dashboard.close(page)
  })

  test("values are found by typing, with their number of events, and several can be selected", async () => {
    const { page } = await dashboard.open("/w/SITE/overview?period=last_7d&f=eq:property.plan:team")
    await page.locator(".stat-value").first().waitFor()
    await page.keyboard.press("/")
    await page.keyboard.type("product")
    await page.keyboard.press("Enter")
    const rows = await runQuery<{ "property.product": string; events: number }>({
      preset: "last_7d",
      parameters: [{ name: "events", by: ["property.product"], measures: ["events"], limit: 100 }],
    })
    const expected = rows.flatMap((row) =>
      row["property.product"] === null ? [] : [`${row["property.product"]}${count(row.events)}`],
    )
    const values = page.getByRole("group", { name: "Values of product" }).locator("label")
    await values.first().waitFor()
    await eventuallyPasses(async () => expect(await values.allTextContents()).toEqual(expected))
    await page.keyboard.type("s")
    const found = expected.filter((text) => /s.*?\d/i.test(text))
    await eventuallyPasses(async () => expect(await values.allTextContents()).toEqual(found))
    for (const key of ["ArrowDown", "Space", "ArrowDown", "Space", "ArrowUp", "ArrowUp"]) {
      await page.keyboard.press(key)
    }
    await page.keyboard.press("Backspace")
    await page.keyboard.press("Enter")
    const names = found.slice(0, 2).map((text) => text.replace(/\d[\d,]*$/, ""))
    await page.getByRole("button", { name: `Edit filter product is one of ${names.join(", ")}` }).waitFor()
    expect(new URL(page.url()).searchParams.getAll("f")).toEqual([
      "eq:property.plan:team",
      `in:property.product:${JSON.stringify(names)}`,
    ])
    await dashboard.close(page)
  })

  test("the filter popover closes on Escape and on a click elsewhere", async () => {
    const { page } = await dashboard.open("/w/SITE/overview")
    await page.locator(".stat-value").first().waitFor()
    const editor = page.getByRole("dialog", { name: "Add filter" })
    await page.keyboard.press("/")
    await editor.waitFor()
    expect(await violations(page, "all", editor)).toEqual([])
    await page.keyboard.type("plan")
    await page.keyboard.press("Enter")
    await page.getByRole("group", { name: "Values of plan" }).getByRole("checkbox").first().waitFor()
    expect(await violations(page, "all", editor)).toEqual([])
    await page.keyboard.press("Escape")
    await editor.waitFor({ state: "detached" })
    await page.keyboard.press("/")
    await editor.waitFor()
    await page.getByRole("heading", { name: "Overview" }).click()
    await editor.waitFor({ state: "detached" })
    expect(new URL(page.url()).searchParams.getAll("f")).toEqual([])
    await dashboard.close(page)
  })

  test("filters can be changed and removed with the keyboard only, and focus is kept", async () => {
    const { page } = await dashboard.open(
      "/w/SITE/overview?f=exists:property.plan:false&f=in:path:%5B%22/%22,%22/a, b%22%5D",
    )
    const waitForFocus = (label: string) =>
      page.waitForFunction((expected) => {
        const { activeElement } = document
        return (activeElement?.ariaLabel ?? activeElement?.textContent ?? "") === expected
      }, label)
    await page.getByRole("button", { name: "Edit filter plan is not set" }).focus()
    await page.keyboard.press("Enter")
    await waitForFocus("Apply")
    await page.getByRole("button", { name: "Field: plan" }).press("Enter")
    const field = page.getByRole("searchbox", { name: "Field or property" })
    await eventuallyPasses(async () =>
      expect(await field.evaluate((element) => element === document.activeElement)).toBe(true),
    )
    await page.keyboard.type("coupon")
    await page.keyboard.press("Enter")
    await waitForFocus("Apply")
    await page.keyboard.press("Enter")
    await page.getByRole("button", { name: "Edit filter coupon is not set" }).waitFor()
    await waitForFocus("Edit filter coupon is not set")
    await page.getByRole("button", { name: "Edit filter Path" }).click()
    const values = page.getByRole("group", { name: "Values of Path" })
    for (const name of [/^\/, /, /^\/a, b, /]) {
      await values.getByRole("checkbox", { name, checked: true }).waitFor()
    }
    await page.getByRole("button", { name: "Apply" }).click()
    expect(new URL(page.url()).searchParams.getAll("f")).toEqual([
      "exists:property.coupon:false",
      'in:path:["/","/a, b"]',
    ])
    for (const target of ["Remove filter Path is one of /, /a, b", " Filter"]) {
      await page.getByRole("button", { name: "Remove filter" }).first().press("Enter")
      await waitForFocus(target)
    }
    await dashboard.close(page)
  })

  test("the page link and a share link can be copied without the clipboard API", async () => {
    const { page } = await dashboard.open("/w/SITE/overview?period=last_7d")
    await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }))
    const pasted = async () => {
      await page.keyboard.press("Control+k")
      const field = page.getByRole("dialog", { name: "Search" }).getByRole("combobox")
      await field.press("Control+v")
      const text = await field.inputValue()
      await page.keyboard.press("Escape")
      return text
    }
    const menu = page.getByRole("button", { name: "Share & save" })
    await menu.click()
    await page.getByRole("button", { name: "Copy link" }).click()
    await page.getByText("Link copied").waitFor()
    await eventuallyPasses(async () => expect(await pasted()).toEndWith("/overview?period=last_7d&tz=UTC"))
    await menu.click()
    await page.getByRole("button", { name: "Create share link…" }).click()
    await page.getByRole("textbox", { name: "Name" }).fill("for the board")
    await page.keyboard.press("Enter")
    await page.getByRole("button", { name: "Copy link" }).click()
    await page.getByText("Copied", { exact: true }).waitFor()
    await page.getByRole("button", { name: "Done" }).click()
    await eventuallyPasses(async () => expect(await pasted()).toMatch(/\/share\/[\w-]+$/))
    await dashboard.close(page)
  })

  test("keyboard shortcuts select ranges, step through them, and open the list of shortcuts", async () => {
    const { page } = await dashboard.open("/w/SITE/overview")
    await page.locator(".stat-value").first().waitFor()
    await page.keyboard.press("w")
    await page.getByRole("button", { name: "Range: Last 7 days" }).waitFor()
    await page.keyboard.press(",")
    expect(new URL(page.url()).searchParams.get("to")).toBe(dayAgo(7))
    await page.keyboard.press(".")
    expect(new URL(page.url()).searchParams.get("to")).toBe(dayAgo(0))
    await page.keyboard.press("?")
    await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor()
    await page.keyboard.press("Escape")
    await page.getByRole("dialog").waitFor({ state: "detached" })
    await dashboard.close(page)
  })

  test("at 200% zoom the navigation and all menus can be reached", async () => {
    const { page } = await dashboard.open("/w/SITE/overview", {
      viewport: { width: 680, height: 450 },
      deviceScaleFactor: 2,
    })
    await page.locator(".stat-value").first().waitFor()
    await page.getByRole("button", { name: "Share & save" }).click()
    const { x } = (await page.locator(".popover-panel").boundingBox()) ?? { x: -1 }
    expect(x).toBeGreaterThan(0)
    await page.keyboard.press("Escape")
    await page.getByRole("button", { name: "Navigation" }).click()
    await page.getByRole("button", { name: "appearance, log out" }).click()
    // A trial click checks that the button can be clicked, without clicking.
    await page.getByRole("button", { name: "Log out", exact: true }).click({ trial: true, timeout: 5_000 })
    await dashboard.close(page)
  })

  test("the command palette opens a page, a board and a saved view from the settings", async () => {
    const body = (item: object) => ({ method: "POST", body: JSON.stringify(item) })
    await dashboard.api("boards?website_id=all", body({ name: "Morning board" }))
    await dashboard.api("views?website_id=all", body({ kind: "view", name: "All goals", path: "goals" }))
    const { page, faults } = await dashboard.open("/settings/account")
    const entries = [
      ["overview", "Overview"],
      ["morning", "Morning board"],
      ["all goals", "Goals"],
    ] as const
    for (const [typed, heading] of entries) {
      await page.goto("/settings/account")
      await page.getByRole("heading", { level: 1, name: "Account" }).waitFor()
      await page.keyboard.press("Control+k")
      await page.keyboard.type(typed)
      const entry = typed === "overview" ? "Overview Page" : typed === "morning" ? "Board" : "Saved view"
      await page.getByRole("option", { name: entry }).click()
      await page.getByRole("heading", { level: 1, name: heading }).waitFor()
    }
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("the command palette opens a page, an event and a range", async () => {
    const { page } = await dashboard.open("/w/SITE/overview")
    await page.locator(".stat-value").first().waitFor()
    await page.keyboard.press("Control+k")
    // Typed without a pause: each letter alone is a shortcut.
    await page.keyboard.type("page events")
    await page.keyboard.press("Enter")
    await page.getByRole("heading", { level: 1, name: "Events" }).waitFor()
    expect(new URL(page.url()).search).toBe("")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("range yesterday")
    await page.keyboard.press("Enter")
    await page.getByRole("button", { name: "Range: Yesterday" }).waitFor()
    await page.keyboard.press("Control+k")
    await page.keyboard.type("page overview")
    await page.keyboard.press("Enter")
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor()
    expect(new URL(page.url()).searchParams.get("period")).toBe("yesterday")
    await dashboard.close(page)
  })

  test("a table can be downloaded as CSV", async () => {
    const { page } = await dashboard.open("/w/SITE/overview")
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      chooseAction(page, "Download CSV", "top-events"),
    ])
    const text = await Bun.file(await download.path()).text()
    const [heading, first] = text.split("\r\n")
    expect(heading).toBe("name,events,visitors,share in percent")
    expect(first).toMatch(/^page_viewed,\d+,\d+,[\d.]+$/)
    await dashboard.close(page)
  })
})

/** Adds a filter for a value of a field, using the keyboard. */
async function typeFilter(page: Page, field: string, value: string): Promise<void> {
  await page.keyboard.press("/")
  await page.getByRole("dialog", { name: "Add filter" }).waitFor()
  await page.keyboard.type(field)
  await page.keyboard.press("Enter")
  await page.keyboard.type(value)
  await page.keyboard.press("Enter")
}

function metrics(page: Page): Locator {
  return page.getByRole("region", { name: "Key metrics" })
}

/** A day as the page formats it: 24 Nov 2026 */
function shownDay(days: number): string {
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeZone: "UTC" }).format(
    Date.parse(dayAgo(days)),
  )
}

async function firstNumber(page: Page): Promise<number> {
  await page.locator(".stat-value").first().waitFor()
  return (await totalsOf(page))[0] ?? -1
}
