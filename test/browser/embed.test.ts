import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Browser, Frame, Page } from "playwright-core"
import { eventuallyPasses } from "../harness.ts"
import { violations } from "./axe.ts"
import { createBoard } from "./board.ts"
import {
  type Dashboard,
  launch,
  listen,
  noBrowser,
  openDashboard,
  skipped,
  waitForPage,
  waitForQueries,
} from "./browser.ts"
import { count, rowsOf } from "./helpers.ts"

/** Another website, with a page that embeds a URL in a frame. */
interface Site extends AsyncDisposable {
  port: number
}

function openSite(): Site {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) => {
      const source = new URL(url).searchParams.get("frame") ?? ""
      const html = `<!doctype html><title>Wiki</title><iframe src="${source.replaceAll("&", "&amp;")}" width="900" height="600"></iframe>`
      return new Response(html, { headers: { "content-type": "text/html; charset=utf-8" } })
    },
  })
  return { port: server.port ?? 0, [Symbol.asyncDispose]: () => server.stop(true) }
}

describe.skipIf(noBrowser)(`a share link in a page of another website${skipped}`, () => {
  let dashboard: Dashboard
  let site: Site
  let browser: Browser
  let link = ""
  beforeAll(async () => {
    dashboard = await openDashboard({ days: 5, pageViews: true })
    site = openSite()
    browser = await launch({ args: ["--host-resolver-rules=MAP *.test 127.0.0.1"] })
    const created = await dashboard.api<{ link: string }>(`shares?website_id=${dashboard.site}`, {
      method: "POST",
      body: JSON.stringify({
        name: "Wiki",
        path: "web?period=last_7d&tz=UTC",
        page: "web",
        embedHosts: [`http://localhost:${site.port}`],
        expiresAt: null,
      }),
    })
    link = created.link
  })
  afterAll(async () => {
    await browser?.close()
    await site?.[Symbol.asyncDispose]()
    await dashboard?.[Symbol.asyncDispose]()
  })

  /** Opens a page at `host` that embeds a path of the dashboard, which has a different host name. */
  async function frame(host: string, path: string): Promise<{ page: Page; inner: Frame; faults: string[] }> {
    const page = await browser.newPage()
    const faults = listen(page)
    const source = `http://stats.test:${dashboard.server.port}${path}`
    await page.goto(`http://${host}:${site.port}/?frame=${encodeURIComponent(source)}`)
    const inner = await (await page.locator("iframe").elementHandle())?.contentFrame()
    if (!inner) throw new Error("the page has no frame")
    return { page, inner, faults }
  }

  const embedded = () => link.replace("/share/", "/embed/")

  test("shows one chart in the chosen theme, without navigation and without a cookie", async () => {
    const { page, inner, faults } = await frame("localhost", `${embedded()}?theme=dark&chart=sources`)
    await inner.getByText("google.com").locator("visible=true").first().waitFor()
    expect(await inner.getByRole("heading", { level: 2 }).allTextContents()).toEqual(["Sources"])
    await eventuallyPasses(async () =>
      expect(await inner.locator("html").getAttribute("data-theme")).toBe("dark"),
    )
    await eventuallyPasses(async () =>
      expect(await inner.locator("nav, .page-actions, .stats:visible").count()).toBe(0),
    )
    await eventuallyPasses(async () =>
      expect(await inner.locator(".embedded-source").textContent()).toStartWith("localhost · "),
    )
    // The look is part of the URL, so a reload of the frame keeps it.
    expect([...new URL(inner.url()).searchParams]).toEqual([
      ["period", "last_7d"],
      ["tz", "UTC"],
      ["theme", "dark"],
      ["chart", "sources"],
    ])
    await eventuallyPasses(async () => expect(await page.context().cookies()).toEqual([]))
    expect(faults).toEqual([])
    await page.close()
  })

  test("shows its whole page, and a message if the page has no chart with the given name", async () => {
    const { page, inner, faults } = await frame("localhost", embedded())
    await inner.getByText("google.com").locator("visible=true").first().waitFor()
    await inner.locator(".skeleton, [aria-busy=true]").first().waitFor({ state: "detached" })
    await eventuallyPasses(async () => expect(await inner.locator(".stat-value:visible").count()).toBe(5))
    const frameUrl = `http://stats.test:${dashboard.server.port}${embedded()}`
    const alone = await browser.newPage()
    await alone.goto(frameUrl)
    await alone.getByText("google.com").locator("visible=true").first().waitFor()
    expect(await violations(alone)).toEqual([])
    await alone.goto(`${frameUrl}?chart=nothing`)
    await alone.getByText("This page has no chart named “nothing”").waitFor()
    expect(faults).toEqual([])
    await alone.close()
    await page.close()
  })

  test("names the hour and the filters of a single chart, which has no filter bar", async () => {
    const params = new URLSearchParams([
      ["hour", "2026-11-24T13:00:00+00:00"],
      ["tz", "UTC"],
      ["f", "eq:country:DE"],
      ["chart", "trend"],
    ])
    const { page, inner } = await frame("localhost", `${embedded()}/web?${params}`)
    const source = inner.locator(".embedded-source")
    await source.waitFor()
    const text = ((await source.textContent()) ?? "").replace(/[\u2066-\u2069]/g, "")
    expect(text).toMatch(/^localhost · .*2026.*1:00.*2:00.* · UTC · Country is DE$/)
    await page.close()
  })

  test("shares a board, which can be embedded as a whole, as a wallboard or as a single tile", async () => {
    const id = await createBoard(dashboard)
    const { page: owner, faults } = await dashboard.open(`/w/SITE/boards?id=${id}&period=last_7d`)
    await waitForPage(owner, "Return visits")
    await owner.getByRole("button", { name: "More actions for Growth" }).click()
    await owner.getByRole("button", { name: "Share…" }).click()
    await owner.getByLabel("Websites that can embed the link").fill(`http://localhost:${site.port}`)
    expect(await violations(owner, "all", owner.getByRole("dialog"))).toEqual([])
    await owner.getByRole("button", { name: "Create link" }).click()
    const url = (await owner.locator(".code-block code").first().textContent()) ?? ""
    await owner.getByLabel("Show").selectOption({ label: "Wallboard (updates every minute)" })
    await owner.getByLabel("Theme").selectOption({ label: "Dark" })
    const code = (await owner.locator(".code-block code").last().textContent()) ?? ""
    const [, wallboard = ""] = /src="([^"]+)"/.exec(code) ?? []
    await owner.getByLabel("Show").selectOption({ label: "Visitors" })
    const chartCode = (await owner.locator(".code-block code").last().textContent()) ?? ""
    const [, chart = ""] = /src="([^"]+)"/.exec(chartCode) ?? []
    await owner.getByRole("button", { name: "Done" }).click()
    const pathOf = (address: string) => {
      const { pathname, search } = new URL(address.replaceAll("&amp;", "&"))
      return pathname + search
    }

    const { page, faults: visitorFaults } = await dashboard.open(pathOf(url), { isLoggedIn: false })
    const requests = new Set<string>()
    page.on("request", (request) => requests.add(new URL(request.url()).pathname))
    await page.getByRole("heading", { level: 1, name: "Growth" }).waitFor()
    await page.reload()
    await waitForPage(page, "Return visits")
    expect(await page.getByRole("navigation").count()).toBe(0)
    await page.getByRole("button", { name: /^Range:/ }).click()
    await page.getByRole("button", { name: "Yesterday" }).click()
    const [summary] = await rowsOf<{ total_events: number }>(
      dashboard,
      { name: "custom_events_summary" },
      { preset: "yesterday", timeZone: "UTC" },
    )
    const first = page.getByRole("region", { name: "Orders and more" })
    await first.getByText(count(summary?.total_events ?? -1), { exact: true }).waitFor()
    for (const viewport of [
      { width: 1360, height: 900 },
      { width: 390, height: 844 },
    ]) {
      await page.setViewportSize(viewport)
      for (const [colorScheme, rules] of [
        ["light", "all"],
        ["dark", "color"],
      ] as const) {
        await page.emulateMedia({ colorScheme })
        await waitForQueries(page)
        expect(await violations(page, rules)).toEqual([])
      }
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBe(0)
    }
    expect([...requests].filter((path) => path.startsWith("/v1/")).sort()).toEqual(
      ["/v1/me", "/v1/query/websites", "/v1/notes", `/v1/boards/${id}`, `/v1/boards/${id}/query`].sort(),
    )
    await page.goto(`${pathOf(url)}/web`)
    await page.getByRole("heading", { name: "This link does not include this page" }).waitFor()
    await page.getByRole("link", { name: "Go to the shared page" }).click()
    await waitForPage(page, "Return visits")

    const wall = await frame("localhost", pathOf(wallboard))
    await wall.inner.getByText("Updated", { exact: false }).first().waitFor()
    await wall.inner.getByRole("heading", { name: "Return visits" }).waitFor()
    expect(await wall.inner.locator("html").getAttribute("data-theme")).toBe("dark")
    expect(await wall.inner.getByRole("button", { name: "Exit" }).count()).toBe(0)
    expect(wall.faults).toEqual([])
    await wall.page.close()
    const alone = await frame("localhost", pathOf(chart))
    await alone.inner.locator(".stat-value").waitFor()
    expect(await alone.inner.getByRole("heading", { level: 2 }).allTextContents()).toEqual(["Visitors"])
    await alone.page.close()

    await owner.goto("/settings/shares")
    await owner.getByText("Board: Growth").waitFor()
    expect(await violations(owner)).toEqual([])
    await dashboard.api(`boards/${id}`, { method: "DELETE" })
    // The link also ends for a visitor who has the page open.
    await page.getByRole("button", { name: /^Range:/ }).click()
    await page.getByRole("button", { name: "Today" }).click()
    await page.getByRole("heading", { name: "This link is no longer valid" }).waitFor()
    expect(visitorFaults.filter((fault) => !fault.includes("40"))).toEqual([])
    expect(faults).toEqual([])
    await page.context().close()
    await owner.context().close()
  })

  const refused = [
    { what: "by a host that the link does not list", host: "wiki.test", path: () => embedded() },
    { what: "for a page with navigation", host: "localhost", path: () => link },
    { what: "for the login page", host: "localhost", path: () => "/login" },
    { what: "for an unknown embedded link", host: "localhost", path: () => `/embed/${"x".repeat(43)}` },
  ]
  test.each(refused)("cannot be framed $what", async ({ host, path }) => {
    const { page, inner, faults } = await frame(host, path())
    await eventuallyPasses(async () => {
      expect(inner.url()).toStartWith("chrome-error://")
      expect(faults.join(" ")).toContain("frame-ancestors")
    })
    await page.close()
  })
})
