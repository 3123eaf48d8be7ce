import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { eventuallyPasses } from "../harness.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForQueries } from "./browser.ts"

/** Text that a page without escaping would interpret. */
const markup = `<img src=x onerror="window.hacked=1">`
const script = `</script><script>window.hacked=1</script>`
const long = "a_very_long_name_".repeat(15).slice(0, 256)

describe.skipIf(noBrowser)(`user text is never interpreted as markup${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard({ days: 0 })
    const common = { websiteId: dashboard.site, anonymousId: markup, sessionId: script, path: `/${markup}` }
    const events: Record<string, unknown>[] = [
      {
        ...common,
        name: markup,
        properties: { [markup]: script, [script]: [markup], nested: { [markup]: 1 }, plan: markup },
      },
      { ...common, name: script, profileId: markup, properties: { plan: script, number: 1 } },
      { ...common, name: long, properties: { [long.slice(0, 128)]: long.repeat(4), number: 2.5 } },
      { ...common, name: "__proto__", properties: { constructor: "toString", number: -1 } },
    ]
    const response = await fetch(`${dashboard.server.url}/track`, {
      method: "POST",
      headers: { authorization: `Bearer ${dashboard.server.key}` },
      body: JSON.stringify(events),
    })
    expect(response.status).toBe(200)
    const identified = await fetch(`${dashboard.server.url}/identify`, {
      method: "POST",
      headers: { authorization: `Bearer ${dashboard.server.key}` },
      body: JSON.stringify({
        websiteId: dashboard.site,
        profileId: markup,
        anonymousId: markup,
        traits: { name: script, [markup]: markup },
      }),
    })
    expect(identified.status).toBe(200)
    const view = { anonymousId: markup, sessionId: script, path: `http://localhost/${markup}`, title: script }
    const items = [
      {
        ...view,
        eventId: "1",
        name: "screen_view",
        utm_source: script,
        referrer: `https://a.example/${markup}`,
      },
      { ...view, eventId: "2", name: "screen_view", path: `http://localhost/${long.repeat(8)}` },
      { ...view, eventId: "3", type: "outgoing_link", href: "javascript:window.hacked=1", text: markup },
    ]
    const viewed = await fetch(`${dashboard.server.url}/batch?client_id=${dashboard.site}`, {
      method: "POST",
      headers: { origin: "http://localhost" },
      body: JSON.stringify(items),
    })
    expect(await viewed.json()).toMatchObject({ status: "success" })
  })
  afterAll(async () => {
    await dashboard?.[Symbol.asyncDispose]()
  })

  const encoded = encodeURIComponent(markup)
  const pages = [
    { name: "the Web page", path: "/w/SITE/web?sources=utm_sources" },
    { name: "the overview", path: "/w/SITE/overview" },
    { name: "the list of events", path: "/w/SITE/events" },
    { name: "an event", path: `/w/SITE/event?name=${encoded}&split=property.plan` },
    { name: "the live page", path: "/w/SITE/live" },
    { name: "a funnel", path: `/w/SITE/funnels?step=${encoded}&step=${encodeURIComponent(script)}` },
    { name: "retention", path: `/w/SITE/retention?step=${encoded}` },
    { name: "paths", path: `/w/SITE/paths?step=${encoded}` },
    { name: "a goal", path: `/w/SITE/goals?step=${encoded}` },
    { name: "the list of people", path: "/w/SITE/people" },
    { name: "the list of profiles", path: "/w/SITE/people?tab=profiles" },
    { name: "a person", path: `/w/SITE/person?visitor=${encoded}` },
    { name: "a profile", path: `/w/SITE/person?profile=${encoded}` },
    { name: "a filter", path: `/w/SITE/overview?f=${encodeURIComponent(`eq:event_name:${markup}`)}` },
    { name: "an unknown website", path: `/w/${encoded}/overview` },
  ]
  test.each(pages)("on $name", async ({ path }) => {
    const { page, faults } = await dashboard.open(path)
    await page.locator("main h1").waitFor()
    await waitForQueries(page)
    await eventuallyPasses(async () => expect(await page.evaluate(() => "hacked" in window)).toBe(false))
    await eventuallyPasses(async () => expect(await page.locator("img, main script").count()).toBe(0))
    // The page of an unknown website has the status 404, which the browser logs.
    expect(faults.filter((fault) => !/status of 404/.test(fault))).toEqual([])
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    expect(overflow).toBeLessThanOrEqual(0)
    await page.setViewportSize({ width: 360, height: 740 })
    await eventuallyPasses(async () =>
      expect(
        await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
      ).toBeLessThanOrEqual(0),
    )
    await page.context().close()
  })

  /** Contains a character that reverses the letters after it: shown as photoexe.png if it is not isolated. */
  const reversed = "photo\u202egnp.exe"
  const hebrew = "\u05e9\u05dc\u05d5\u05dd"
  const mixed = encodeURIComponent(reversed)
  const directional = [
    { name: "the list of events", path: "/w/SITE/events" },
    { name: "an event", path: `/w/SITE/event?name=${mixed}` },
    {
      name: "a filter",
      path: `/w/SITE/overview?f=${encodeURIComponent(`in:event_name:["${reversed}","${hebrew}"]`)}`,
    },
    { name: "a goal", path: `/w/SITE/goals?step=${mixed}&step=${encodeURIComponent(hebrew)}` },
  ]
  test.each(directional)(
    "right-to-left text does not reorder the text around it on $name",
    async ({ path }) => {
      const response = await fetch(`${dashboard.server.url}/track`, {
        method: "POST",
        headers: { authorization: `Bearer ${dashboard.server.key}` },
        body: JSON.stringify(
          [reversed, hebrew].map((name) => ({
            websiteId: dashboard.site,
            name,
            properties: { [name]: name },
          })),
        ),
      })
      expect(response.status).toBe(200)
      const { page } = await dashboard.open(path)
      await page.getByText(reversed).locator("visible=true").first().waitFor()
      await waitForQueries(page)
      const found = await page.evaluate(() => {
        const isDirectional = (text: string) => /[\u0590-\u05ff\u202e]/.test(text)
        const elements = [...document.querySelectorAll("body *")]
        const texts = elements.filter((element) =>
          [...element.childNodes].some((node) => node instanceof Text && isDirectional(node.data)),
        )
        const names = elements.flatMap((element) => element.getAttribute("aria-label") ?? [])
        return {
          texts: texts.length,
          open: texts.filter((element) => getComputedStyle(element).unicodeBidi !== "isolate").length,
          names: [...names, document.title].filter(isDirectional),
        }
      })
      expect(found.texts).toBeGreaterThan(0)
      expect(found.open).toBe(0)
      // A name that stands alone has no text around it to reorder.
      const isolated = /\u2068[^\u2069]*[\u0590-\u05ff\u202e][^\u2069]*\u2069/
      const bare = found.names.filter((name) => !isolated.test(name) && name !== reversed && name !== hebrew)
      expect(bare).toEqual([])
      await page.context().close()
    },
  )
})
