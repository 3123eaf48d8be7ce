import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { isReportPage } from "../../src/sections.ts"
import { eventuallyPasses } from "../harness.ts"
import { violations } from "./axe.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForPage, waitForQueries } from "./browser.ts"
import { dayAgo } from "./helpers.ts"
import { sendQuality } from "./page-quality.ts"
import { pages } from "./pages.ts"

describe.skipIf(noBrowser)(`saved views, annotations and share links${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard({ days: 20, pageViews: true })
    await sendQuality(dashboard.server.url, dashboard.site, 20)
  })
  afterAll(async () => {
    await dashboard?.[Symbol.asyncDispose]()
  })

  const share = (path: string, page: string | null = null) =>
    dashboard.api<{ link: string; share: { id: string } }>(`shares?website_id=${dashboard.site}`, {
      method: "POST",
      body: JSON.stringify({ name: "short", path, page, expiresAt: null }),
    })

  const menu = { name: "Share & save" }

  test("a saved view appears in the menu", async () => {
    const { page, faults } = await dashboard.open(
      "/w/SITE/overview?period=last_7d&f=eq:event_name:order_paid",
    )
    await waitForPage(page, "order_paid")
    await page.getByRole("button", menu).click()
    await page.getByRole("button", { name: "Save view…" }).click()
    await page.getByLabel("Name").fill("Orders of a week")
    await page.getByRole("button", { name: "Save", exact: true }).click()
    await page.getByText("“Orders of a week” saved").waitFor()
    await page.goto(`/w/${dashboard.site}/events`)
    await waitForPage(page, "page_viewed")
    await page.getByRole("button", menu).click()
    await page.getByRole("link", { name: "Orders of a week" }).click()
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor()
    await page.getByRole("button", { name: "Edit filter Event is order_paid" }).waitFor()
    expect(new URL(page.url()).searchParams.get("period")).toBe("last_7d")
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  const deleted = [
    { does: "renaming", choice: "Rename…", action: "Rename" },
    { does: "deleting", choice: "Delete…", action: "Delete" },
  ]
  test("a view that another tab has deleted leaves the list after a failed change", async () => {
    const viewsPath = `views?website_id=${dashboard.site}`
    const body = (name: string) => JSON.stringify({ kind: "paths", name, path: `paths?step=${name}` })
    const saved = new Map<string, string>()
    for (const { does } of deleted) {
      const { view } = await dashboard.api<{ view: { id: string } }>(viewsPath, {
        method: "POST",
        body: body(does),
      })
      saved.set(does, view.id)
    }
    const { page } = await dashboard.open("/w/SITE/paths")
    await waitForPage(page, "deleting")
    for (const { does, choice, action } of deleted) {
      await dashboard.api(`views/${saved.get(does)}`, { method: "DELETE" })
      await page.getByRole("button", { name: `More actions for ${does}` }).click()
      await page.getByRole("button", { name: choice }).click()
      await page.getByRole("button", { name: action, exact: true }).click()
      await page.getByRole("alert").getByText("No saved view has the id").waitFor()
      await page.getByRole("button", { name: "Cancel" }).click()
      await page.getByRole("link", { name: does }).waitFor({ state: "detached" })
    }
    await dashboard.close(page)
  })

  test("an annotation appears on the charts and in their legend", async () => {
    const { page } = await dashboard.open("/w/SITE/overview")
    await waitForPage(page, "page_viewed")
    await page.getByRole("button", menu).click()
    await page.getByRole("button", { name: "Add annotation…" }).click()
    await page.getByRole("textbox", { name: "Text" }).fill("Release 2.0")
    await page.getByRole("button", { name: "Save", exact: true }).click()
    await page
      .getByRole("figure")
      .getByText(/: Release 2\.0$/)
      .waitFor()
    await dashboard.close(page)
  })

  test("an annotation links to a comparison of the same number of days before and after it, on every page", async () => {
    const note = { date: dayAgo(16), text: "Release 1.9" }
    await dashboard.api(`notes?website_id=${dashboard.site}`, { method: "POST", body: JSON.stringify(note) })
    const { page, faults } = await dashboard.open("/w/SITE/overview?compare=off")
    await waitForPage(page, "page_viewed")
    const chart = page.getByRole("figure", { name: "Events over time" })
    // The dates form a slider. At first, the last date is selected.
    await chart.getByRole("slider").focus()
    for (let day = 0; day < 16; day++) await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Enter")
    await chart
      .getByRole("list", { name: /^Actions/ })
      .getByRole("link", { name: "Compare before and after" })
      .click()
    const range = `from=${dayAgo(16)}&to=${dayAgo(3)}`
    await page.waitForURL((url) => url.search === `?${range}`)
    const [first, last] = [dayAgo(30), dayAgo(17)].map((day) =>
      new Date(day).toLocaleDateString("en-GB", { day: "numeric", timeZone: "UTC" }),
    )
    await page.getByText(new RegExp(`^vs\\. ${first}\\D.*\\b${last} `)).waitFor()
    const panel = page.getByRole("region", { name: "Better or worse?" })
    const unclear = panel.getByRole("region", { name: "No clear change" })
    await unclear.getByRole("listitem").first().waitFor()
    expect(await unclear.locator(".change.up, .change.down").count()).toBe(0)
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Errors" }).click()
    await page.waitForURL((url) => url.pathname.endsWith("/errors") && url.search === `?${range}`)
    await page.goto(`${dashboard.server.url}/settings/notes`)
    await page.getByRole("link", { name: "Compare before and after Release 1.9" }).click()
    await page.waitForURL((url) => url.pathname.endsWith("/web") && url.search === `?${range}`)
    await page
      .getByRole("figure")
      .getByRole("link", { name: "Compare before and after Release 1.9" })
      .waitFor()
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a share link shows the reports of its website to anyone, but no individual people", async () => {
    const { page } = await dashboard.open("/w/SITE/overview?period=last_7d")
    await waitForPage(page, "page_viewed")
    const events = await page.locator(".stat-value").first().textContent()
    await page.getByRole("button", menu).click()
    await page.getByRole("button", { name: "Create share link…" }).click()
    await page.getByLabel("Name").fill("For the board")
    await page
      .getByLabel("Websites that can embed the link")
      .fill("https://wiki.example\nhttps://*.intranet.example")
    await page.getByRole("button", { name: "Create link" }).click()
    await page.getByRole("heading", { name: "Embed" }).waitFor()
    const [link = "", snippet = ""] = await page.locator(".code-block code").allTextContents()
    await page.getByLabel("Show").selectOption({ label: "Top events" })
    await page.getByLabel("Theme").selectOption("dark")
    const token = new URL(link).pathname.split("/").at(-1)
    expect(snippet).toContain(`/embed/${token}" title="For the board · localhost"`)
    await eventuallyPasses(async () =>
      expect(await page.locator(".code-block code").last().textContent()).toContain(
        `/embed/${token}?theme=dark&amp;chart=events"`,
      ),
    )
    await dashboard.close(page)

    const { page: guest, faults } = await dashboard.open(link, { isLoggedIn: false })
    await waitForPage(guest, "page_viewed")
    await eventuallyPasses(async () =>
      expect(await guest.locator(".stat-value").first().textContent()).toBe(events),
    )
    expect(new URL(guest.url()).searchParams.get("period")).toBe("last_7d")
    const links = await guest.getByRole("navigation", { name: "Pages" }).getByRole("link").allInnerTexts()
    expect(links.map((text) => text.trim())).toEqual([
      "Web",
      "Overview",
      "Events",
      "Funnels",
      "Retention",
      "Paths",
      "Goals",
      "Errors",
      "Vitals",
      "Engagement",
    ])
    await eventuallyPasses(async () =>
      expect(await guest.locator(".shared-name > *").allTextContents()).toEqual([
        "localhost",
        "For the board",
      ]),
    )
    await eventuallyPasses(async () => expect(await guest.getByRole("button", menu).count()).toBe(0))
    expect(await violations(guest)).toEqual([])
    expect(faults).toEqual([])
    for (const page of ["people", "person?visitor=visitor-0", "live", "refusals", "install"]) {
      await guest.goto(`${new URL(link).pathname}/${page}`)
      await guest.getByRole("heading", { name: "This link does not include this page" }).waitFor()
    }
    await guest.getByRole("link", { name: "Go to the shared page" }).click()
    await waitForPage(guest, "page_viewed")
    await guest.context().close()
  })

  test.each(pages.filter(({ name }) => isReportPage(name)))(
    "a share link to $name alone loads fully without a login, and has no links out of the share",
    async ({ name, path, ready }) => {
      const view = path.replace("/w/SITE/", "")
      const { link } = await share(view, name)
      const { page, faults } = await dashboard.open("/docs", { isLoggedIn: false })
      const answers: Promise<{ data: { success: boolean }[] }>[] = []
      page.on("response", (response) => {
        if (response.url().includes("/v1/query?")) answers.push(response.json())
      })
      await page.goto(link)
      await waitForPage(page, ready)
      expect(page.url()).toEndWith(`${link}/${view}`)
      const all = (await Promise.all(answers)).flatMap(({ data }) => data)
      expect(all.filter(({ success }) => !success)).toEqual([])
      expect(all).not.toEqual([])
      const links = await page
        .locator("a[href^='/']")
        .evaluateAll((all) => all.map((a) => a.getAttribute("href")))
      expect(links.filter((href) => !new RegExp(`^${link}/${name}(?:[?/]|$)`).test(href ?? ""))).toEqual([])
      expect(faults).toEqual([])
      await dashboard.close(page)
    },
  )

  test("a share link cannot filter by people, and a view that filters by people cannot be shared", async () => {
    const { link } = await share("overview")
    const { page: guest } = await dashboard.open(link, { isLoggedIn: false })
    await waitForPage(guest, "page_viewed")
    await guest.keyboard.press("/")
    const editor = guest.getByRole("dialog", { name: "Add filter" })
    await editor.getByRole("button", { name: "plan property" }).waitFor()
    await eventuallyPasses(async () =>
      expect(await editor.getByRole("button", { name: "Visitor" }).count()).toBe(0),
    )
    await guest.getByLabel("Field or property").fill("anonymous_id")
    await guest.keyboard.press("Enter")
    await guest.getByRole("alert").getByText("Select one from the list").waitFor()
    await guest.context().close()

    const step = encodeURIComponent(JSON.stringify(["order_paid", "eq:anonymous_id:visitor-0"]))
    const { page } = await dashboard.open(`/w/SITE/goals?step=${step}`)
    await page.getByRole("button", menu).click()
    await page.getByRole("button", { name: "Create share link…" }).click()
    await page.getByText("Share links cannot show individual visitors").waitFor()
    await dashboard.close(page)
  })

  test("a revoked share link shows that it is no longer valid", async () => {
    const { shares } = await dashboard.api<{ shares: { id: string }[] }>(
      `shares?website_id=${dashboard.site}`,
    )
    const created = await share("overview")
    await dashboard.api(`shares/${created.share.id}`, { method: "DELETE" })
    expect(shares.map(({ id }) => id)).not.toContain(created.share.id)
    const { page } = await dashboard.open(created.link, { isLoggedIn: false })
    await page.getByRole("heading", { name: "This link is no longer valid" }).waitFor()
    await eventuallyPasses(async () => expect(await page.locator(".stat-value").count()).toBe(0))
    await dashboard.close(page)
  })

  test("a share link can be rotated with an overlap, which can be ended early", async () => {
    const { link } = await share("overview")
    const { page, faults } = await dashboard.open("/settings/shares")
    const row = page.getByRole("listitem").filter({ hasText: "short" }).last()
    await row.getByRole("button", { name: "More actions for short" }).click()
    await page.getByRole("button", { name: "Rotate…" }).click()
    await page.getByLabel("The old link stops working").selectOption({ label: "After 1 day" })
    await page.getByRole("button", { name: "Rotate", exact: true }).click()
    const next = (await page.locator(".code-block code").first().textContent()) ?? ""
    await page.getByRole("button", { name: "Done" }).click()
    const token = (path: string) => ({ "x-databuddy-share": path.split("/").at(-1) ?? "" })
    const works = async (...links: string[]) =>
      Promise.all(
        links.map(
          async (one) =>
            (await fetch(`${dashboard.server.url}/v1/query/websites`, { headers: token(one) })).status,
        ),
      )
    expect(await works(link, next)).toEqual([200, 200])
    await row.getByText(/^Works until/).waitFor()
    await row.getByRole("button", { name: "More actions for short" }).click()
    await page.getByRole("button", { name: "Revoke previous link…" }).click()
    await page.getByRole("button", { name: "Revoke", exact: true }).click()
    await page.getByText("Previous link for short revoked").waitFor()
    expect(await works(link, next)).toEqual([401, 200])
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a viewer who is limited to sections sees only the pages of these sections", async () => {
    const { page: owner } = await dashboard.open("/settings/users")
    await owner.getByRole("button", { name: "Invite user" }).click()
    await owner.getByLabel("Email").fill("sec@example.com")
    await owner.getByText("Selected sections").click()
    await owner.getByRole("checkbox", { name: "Behavior" }).check()
    await owner.getByRole("checkbox", { name: "Quality" }).check()
    expect(await violations(owner)).toEqual([])
    await owner.getByRole("button", { name: "Create link" }).click()
    const invite = (await owner.locator(".code-block code").textContent()) ?? ""
    await owner.context().close()

    const { page, faults } = await dashboard.open(invite, { isLoggedIn: false })
    await page.getByLabel("Password").first().fill("another long phrase")
    await page.locator("form button[type=submit]").click()
    await page.getByRole("heading", { level: 1, name: "Funnels" }).waitFor()
    const links = await page.getByRole("navigation", { name: "Pages" }).getByRole("link").allInnerTexts()
    expect(links.map((text) => text.trim())).toEqual([
      "Funnels",
      "Retention",
      "Paths",
      "Goals",
      "Errors",
      "Vitals",
      "Engagement",
      "Settings",
    ])
    for (const name of ["funnels", "errors", "error", "vitals"]) {
      const { path = "", ready = "" } = pages.find((one) => one.name === name) ?? {}
      await page.goto(path.replace("SITE", dashboard.site))
      if (name === "error") await page.getByRole("heading", { name: "Error", exact: true }).waitFor()
      else await waitForPage(page, ready)
    }
    expect(faults).toEqual([])
    for (const closed of ["web", "overview", "people", "live", "refusals"]) {
      const response = await page.goto(`/w/${dashboard.site}/${closed}`)
      await page.getByRole("heading", { name: "No access to this page" }).waitFor()
      expect(response?.status()).toBe(403)
    }
    await dashboard.close(page)
  })

  const limits: { sections: string[]; path: string; columns: string[]; hasEvents: boolean }[] = [
    { sections: ["web"], path: "/w/all/web", columns: ["Visitors", "Sessions", "Views"], hasEvents: false },
    {
      sections: ["events"],
      path: "/w/all/overview",
      columns: ["Visitors", "Sessions", "Events"],
      hasEvents: true,
    },
  ]
  test.each(limits)(
    "a viewer with the section $sections sees only what the section includes when comparing websites and searching for events",
    async ({ sections, path, columns, hasEvents }) => {
      const { invite } = await dashboard.api<{ invite: { path: string } }>("users", {
        method: "POST",
        body: JSON.stringify({ email: `${sections[0]}@example.com`, role: "viewer", sections }),
      })
      const { page, faults } = await dashboard.open(invite.path, { isLoggedIn: false })
      await page.getByLabel("Password").first().fill("another long phrase")
      await page.locator("form button[type=submit]").click()
      await page.getByRole("navigation", { name: "Pages" }).waitFor()
      await page.goto(path)
      const table = page.getByRole("table", { name: "Websites" })
      await table.getByText("localhost").waitFor()
      // The page is rebuilt once its last query has loaded, which closes an open popover.
      await waitForQueries(page)
      const headings = await table.getByRole("columnheader").allInnerTexts()
      expect(headings.map((text) => text.trim()).filter((text) => text !== "Change")).toEqual([
        "Website",
        ...columns,
      ])
      await page.keyboard.press("Control+k")
      const palette = page.getByRole("dialog", { name: "Search" })
      await palette.getByRole("combobox").fill("order_paid")
      await palette.getByText(hasEvents ? "Event" : "No matches", { exact: true }).waitFor()
      await page.keyboard.press("Escape")
      if (!hasEvents) {
        await palette.waitFor({ state: "detached" })
        const field = page.getByLabel("Field or property")
        await eventuallyPasses(async () => {
          if (!(await field.isVisible())) await page.keyboard.press("/")
          await field.fill("nonsense", { timeout: 2_000 })
          await field.press("Enter", { timeout: 2_000 })
          await page.getByRole("alert").getByText("Unknown field").waitFor({ timeout: 2_000 })
        })
        await field.fill("event_name")
        await field.press("Enter")
        const values = page.getByRole("group", { name: "Values of Event" })
        await values.waitFor({ state: "attached" })
        await eventuallyPasses(async () => expect(await page.getByText("Loading…").count()).toBe(0))
      }
      expect(faults).toEqual([])
      await dashboard.close(page)
    },
  )

  test("a website that does not exist or was deleted has a clear error page", async () => {
    const { page } = await dashboard.open("/w/gone/overview")
    await page.getByRole("heading", { name: "Website not found or no access" }).waitFor()
    expect(await violations(page)).toEqual([])
    await page.getByRole("link", { name: "Go to start page" }).click()
    await waitForPage(page, "google.com")
    await dashboard.close(page)
  })

  test("a viewer sees only their websites, read-only", async () => {
    const { website } = await dashboard.api<{ website: { id: string } }>("websites", {
      method: "POST",
      body: JSON.stringify({ domain: "other.example" }),
    })
    const { invite } = await dashboard.api<{ invite: { path: string } }>("users", {
      method: "POST",
      body: JSON.stringify({ email: "vic@example.com", role: "viewer", websites: [dashboard.site] }),
    })
    const { page, faults } = await dashboard.open(invite.path, { isLoggedIn: false })
    await page.getByLabel("Password").first().fill("another long phrase")
    await page.locator("form button[type=submit]").click()
    await waitForPage(page, "google.com")
    await page.getByRole("button", { name: "Website: localhost" }).click()
    const choices = await page.locator(".popover-panel a").allInnerTexts()
    expect(choices.map((text) => text.trim())).toEqual(["localhost"])
    await page.keyboard.press("Escape")
    await page.getByRole("button", menu).click()
    await eventuallyPasses(async () =>
      expect(await page.locator(".popover-panel button").allInnerTexts()).toEqual(["Copy link"]),
    )
    await page.goto("/settings/websites")
    await page.getByText("Page not found or no access").waitFor()
    expect(faults).toEqual([])
    await page.goto(`/w/${website.id}/overview`)
    await page.getByRole("heading", { name: "Website not found or no access" }).waitFor()
    await eventuallyPasses(async () => expect(await page.locator(".stat-value").count()).toBe(0))
    await dashboard.close(page)
  })
})
