import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { join } from "node:path"
import { eventuallyPasses } from "../harness.ts"
import { noBrowser, skipped } from "./browser.ts"
import { openShop, type Shop } from "./shop-page.ts"

// Databuddy's published SDK adds the script to a page. The SDK is used unchanged, except for the script's URL.

describe.skipIf(noBrowser)(`the published SDK${skipped}`, () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await openShop()
  })
  afterAll(() => shop[Symbol.asyncDispose]())

  test.each(["core", "react", "vue"])(
    "its %s entry point loads the script once and passes on the options and early calls",
    async (entry) => {
      shop.recorder.reset()
      const { outputs } = await Bun.build({
        entrypoints: [join(import.meta.dir, "sdk", `${entry}.ts`)],
        target: "browser",
        // React's strict mode only works in development.
        define: {
          "process.env.NODE_ENV": '"development"',
          __VUE_OPTIONS_API__: "true",
          __VUE_PROD_DEVTOOLS__: "false",
        },
      })
      const bundle = (await outputs[0]?.text()) ?? ""
      const body = `<script type="module">${bundle.replaceAll("</script", "<\\\\/script")}</script>`
      const path = `/users/7?script=${shop.stats}/databuddy.js`
      const { page, faults } = await shop.open({ path, tag: "", body })
      const items = await shop.received(["/batch screen_view", "/identify u1", "/track early"])
      expect(items.find(({ fields }) => fields.name === "screen_view")?.fields).toMatchObject({
        path: `http://shop.test:${shop.port}/users/*?script=${shop.stats}/databuddy.js`,
        anonymizeVisitorIds: "auto",
      })
      expect(items.find(({ path }) => path === "/track")?.fields).toMatchObject({
        profileId: "u1",
        properties: { entry },
      })
      await eventuallyPasses(async () =>
        expect(await page.evaluate("databuddy.options")).toMatchObject({
          clientId: "shop",
          ignoreBotDetection: true,
          batchTimeout: 100,
          samplingRate: 1,
          anonymizeVisitorIds: "auto",
          skipPatterns: ["/admin/**"],
          trackErrors: true,
          trackWebVitals: false,
          sdkVersion: "2.6.0",
        }),
      )
      await eventuallyPasses(async () => expect(await page.evaluate("document.cookie")).toBe(""))
      await page.goto("about:blank")
      await shop.received(["/batch screen_view", "/identify u1", "/track early", "/batch page_exit"])
      expect(shop.recorder.unexpected).toEqual([])
      expect(faults).toEqual([])
    },
  )
})
