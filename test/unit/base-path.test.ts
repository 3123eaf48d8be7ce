import { describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { removeBasePath, withoutBasePath } from "../../src/base-path.ts"
import { storageBelow } from "../../src/dashboard/state/preferences.ts"
import { Router } from "../../src/dashboard/state/router.ts"
import { repository } from "../support/repository.ts"

describe("below /stats,", () => {
  test.each([
    ["/stats/track", "/track", "is below the base path"],
    ["/stats", "/", "is the base path"],
    ["/stats/", "/", "is the base path with a slash"],
    ["/stats?website_id=a", "/?website_id=a", "is the base path with a query"],
    ["/stats/px.jpg?path=/stats/", "/px.jpg?path=/stats/", "is below the base path, with a query"],
    ["/stats/stats/track", "/stats/track", "starts with the base path twice, and only the first is removed"],
    ["/track", "/track", "comes from a proxy that has removed the base path"],
    ["/", "/", "comes from a proxy that has removed the base path"],
    ["/statistics/track", "/statistics/track", "only starts with the same letters"],
    ["/STATS/track", "/STATS/track", "is in upper case"],
    ["/track/stats/", "/track/stats/", "contains the base path elsewhere"],
  ])("%s means %s: it %s", (path, meaning) => {
    expect(withoutBasePath(path, "/stats")).toBe(meaning)
    const request = new Request(`https://stats.example${path}`)
    removeBasePath(request, "/stats")
    expect(request.url).toBe(`https://stats.example${meaning}`)
  })
})

test("without a base path, every path stays unchanged", () => {
  for (const path of ["/stats/track", "/", "/track?x=1"]) expect(withoutBasePath(path, "")).toBe(path)
})

describe("the dashboard's router", () => {
  function openRouter(href: string, basePath: string) {
    const location = Object.assign(new URL(href), { reload: () => {} })
    const show = (_: null, __: string, url: string) => {
      location.href = new URL(url, location).href
    }
    const history = { pushState: show, replaceState: show }
    const window = { location, history, addEventListener: () => {} }
    return { router: new Router(window, basePath), location }
  }

  test.each([
    { basePath: "", href: "https://a.example/w/shop/events?f=eq%3Apath%3A%2F" },
    { basePath: "/stats", href: "https://a.example/stats/w/shop/events?f=eq%3Apath%3A%2F" },
    { basePath: "/tools/stats", href: "https://a.example/tools/stats/w/shop/events?f=eq%3Apath%3A%2F" },
    // Opened on the server itself, without the proxy.
    { basePath: "/stats", href: "https://a.example/w/shop/events?f=eq%3Apath%3A%2F" },
  ])("has the same paths below '$basePath', and adds it to URLs", ({ basePath, href }) => {
    const { router, location } = openRouter(href, basePath)
    expect(router.location.value).toMatchObject({ base: "/w/shop", website: "shop", page: "events" })
    expect(router.path).toBe("/w/shop/events?f=eq%3Apath%3A%2F")
    expect(router.viewPath()).toBe("events?f=eq%3Apath%3A%2F")
    expect(router.pageHref("event", { name: "a" })).toBe("/w/shop/event?f=eq%3Apath%3A%2F&name=a")
    expect(router.serverUrl).toBe(`https://a.example${basePath}`)
    router.navigate(router.websiteHref("other"))
    expect(location.pathname).toBe(`${basePath}/w/other/events`)
    router.setParams({ period: "today" })
    expect(location.href).toBe(`https://a.example${basePath}/w/other/events?period=today`)
    expect(router.location.value).toMatchObject({ base: "/w/other", page: "events" })
  })
})

test.each([
  ["", "theme"],
  ["/stats", "/stats:theme"],
])(
  "below %j, the dashboard stores its theme as %s, because other applications on the host may store one too",
  (basePath, name) => {
    const stored = new Map([["theme", "that of another"]])
    const storage = storageBelow(basePath, {
      getItem: (key) => stored.get(key) ?? null,
      setItem: (key, value) => void stored.set(key, value),
    })
    storage.setItem("theme", "dark")
    expect(storage.getItem("theme")).toBe("dark")
    expect(stored.get(name)).toBe("dark")
    expect(stored.get("theme")).toBe(basePath === "" ? "dark" : "that of another")
  },
)

test("no file of the dashboard requests a path or links to it without the base path", () => {
  const folder = join(repository, "src/dashboard")
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    /\.tsx?$/.test(name),
  )
  expect(files.length).toBeGreaterThan(100)
  const direct = /(?:<a\b[^>]*\shref=|\bfetch\(|new EventSource\(|\.open\(|location\s*=)\s*\{?\s*["'`]\//
  const found = files.filter((name) => direct.test(readFileSync(join(folder, name), "utf8")))
  expect(found).toEqual([])
})
