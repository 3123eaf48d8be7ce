import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { pageResponse } from "../../src/dashboard/route.ts"
import type { Section } from "../../src/sections.ts"
import { createInvite } from "../../src/store/invites.ts"
import { createLoginSession } from "../../src/store/login-sessions.ts"
import { createShare, listShares, rotateShare, type ShareSettings } from "../../src/store/shares.ts"
import { createUser } from "../../src/store/users.ts"
import { createWebsite, deleteWebsite } from "../../src/store/websites.ts"
import { openApp, type TestApp } from "../support/app.ts"

const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
const hourMs = 3_600_000
const file = { type: "text/html;charset=utf-8", plain: new Uint8Array(), gzipped: new Uint8Array() }

let app: TestApp
let rid = 0
beforeEach(() => {
  app = openApp()
  for (const id of ["mine", "theirs", "gone"]) {
    const settings = { domain: `${id}.example`, name: id, allowedOrigins: [], anonymize: "off" as const }
    createWebsite(app.store.db, id, settings, app.clock.now)
  }
  deleteWebsite(app.store.db, "gone", app.clock.now)
  rid = createWebsite(
    app.store.db,
    "shared",
    { domain: "shared.example", name: "shared", allowedOrigins: [], anonymize: "off" },
    app.clock.now,
  ).rid
  app.store.registry.refresh()
})
afterEach(() => app.close())

function open(path: string, cookie?: string) {
  const deps = { db: app.store.db, registry: app.store.registry, now: () => app.clock.now }
  // The headers of a browser that follows a link on another website.
  const headers = { "sec-fetch-site": "cross-site", ...(cookie ? { cookie } : {}) }
  const response = pageResponse(deps, new Request(`http://localhost${path}`, { headers }), file)
  const policy = response.headers.get("content-security-policy") ?? ""
  return {
    status: response.status,
    ancestors: /frame-ancestors ([^;]*)$/.exec(policy)?.[1],
    frameOptions: response.headers.get("x-frame-options"),
  }
}

function share(settings: Partial<ShareSettings> = {}): string {
  const whole = { name: "s", path: "web", page: null, embedHosts: [], expiresAt: null, ...settings }
  return createShare(app.store.db, crypto.randomUUID(), rid, whole, random, app.clock.now).token
}

function cookieOf(websites: string[] | null, sections: Section[] | null): string {
  const { db } = app.store
  const settings = { email: "ada@example.com", role: "viewer" as const, websites, sections }
  createUser(db, "ada", settings, null, app.clock.now)
  return `databuddy_session=${createLoginSession(db, "ada", random, app.clock.now)}`
}

describe("framing:", () => {
  const hosts = ["https://a.example", "https://*.b.example:8443"]
  const closed = { ancestors: "'none'", frameOptions: "DENY" }
  const cases: [string, Partial<ShareSettings>, string, object][] = [
    [
      "an embedded link with hosts",
      { embedHosts: hosts },
      "/embed/TOKEN",
      { ancestors: hosts.join(" "), frameOptions: null },
    ],
    [
      "its page",
      { embedHosts: hosts },
      "/embed/TOKEN/web?chart=trend",
      { ancestors: hosts.join(" "), frameOptions: null },
    ],
    ["an embedded link without hosts", {}, "/embed/TOKEN/web", closed],
    ["the link with navigation", { embedHosts: hosts }, "/share/TOKEN/web", closed],
    [
      "the link with a parameter of embedded links",
      { embedHosts: hosts },
      "/share/TOKEN/web?embed=1&chart=trend",
      closed,
    ],
    ["an embedded link with an unknown token", { embedHosts: hosts }, `/embed/${"x".repeat(43)}`, closed],
    ["a path that contains the link", { embedHosts: hosts }, "/w/embed/TOKEN", closed],
    ["the login", { embedHosts: hosts }, "/login", closed],
    ["the settings", { embedHosts: hosts }, "/settings/embed/TOKEN", closed],
    ["the start page", { embedHosts: hosts }, "/?to=/embed/TOKEN", closed],
  ]
  test.each(cases)("%s", (_, settings, path, expected) => {
    expect(open(path.replace("TOKEN", share(settings)))).toMatchObject(expected)
  })

  test("is not allowed after the link ends, also during the overlap of a rotation", () => {
    const { db } = app.store
    const token = share({ embedHosts: hosts, expiresAt: app.clock.now + 2 * hourMs })
    const { id } = listShares(db)[0] ?? { id: "" }
    const rotated = rotateShare(db, id, "1h", random, app.clock.now)
    for (const valid of [token, rotated.token])
      expect(open(`/embed/${valid}`)).toMatchObject({ status: 200, ancestors: hosts.join(" ") })
    app.clock.now += hourMs
    expect(open(`/embed/${token}`)).toEqual({ status: 404, ...closed })
    const last = rotateShare(db, id, "7d", random, app.clock.now)
    app.clock.now += hourMs
    for (const ended of [rotated.token, last.token])
      expect(open(`/embed/${ended}`)).toEqual({ status: 404, ...closed })
  })
})

describe("the status of", () => {
  const links: [string, Partial<ShareSettings>, string, number][] = [
    ["a share link", {}, "/share/TOKEN", 200],
    ["a page of a share link", {}, "/share/TOKEN/funnels?step=a", 200],
    ["a page about people in a share link", {}, "/share/TOKEN/people", 403],
    ["an unknown page in a share link", {}, "/share/TOKEN/nowhere", 404],
    ["the page of a limited link", { page: "web" }, "/share/TOKEN/web", 200],
    ["another page of a limited link", { page: "web" }, "/embed/TOKEN/overview", 403],
    ["an expired share link", { expiresAt: 1 }, "/share/TOKEN", 404],
    ["an unknown share link", {}, "/share/unknown", 404],
    ["a share link without a token", {}, "/share/", 404],
    ["a token that is not text", {}, "/share/%ff", 404],
  ]
  test.each(links)("%s", (_, settings, path, status) => {
    expect(open(path.replace("TOKEN", share(settings))).status).toBe(status)
  })

  test("an invitation is 404 once it has expired", () => {
    const { db } = app.store
    createUser(db, "u", { email: "u@example.com", role: "viewer", websites: null, sections: null }, null, 0)
    const { token, expiresAt } = createInvite(db, "invite", "u", random, app.clock.now)
    expect(open(`/invite/${token}`).status).toBe(200)
    app.clock.now = expiresAt
    expect(open(`/invite/${token}`).status).toBe(404)
    expect(open("/invite/unknown").status).toBe(404)
  })

  const websites: [string, string, string[] | null, Section[] | null, number][] = [
    ["a website of the user", "/w/mine/web", ["mine"], null, 200],
    ["a website's start page", "/w/mine", ["mine"], null, 200],
    ["a website that the user cannot access", "/w/theirs/web", ["mine"], null, 404],
    ["a website that does not exist", "/w/nothing/web", null, null, 404],
    ["a deleted website", "/w/gone/web", null, null, 404],
    ["all websites", "/w/all/web", ["mine"], null, 200],
    ["no website", "/w/none/web", null, null, 200],
    ["no website, for a user limited to one", "/w/none/web", ["mine"], null, 404],
    ["an unknown page", "/w/mine/nowhere", null, null, 404],
    ["a section that the user can access", "/w/mine/goals", null, ["behavior"], 200],
    ["a section that the user cannot access", "/w/mine/web", null, ["behavior"], 403],
    ["people", "/w/mine/person?visitor=v", null, ["web"], 403],
  ]
  test.each(websites)("%s", (_, path, own, sections, status) => {
    expect(open(path, cookieOf(own, sections)).status).toBe(status)
    // Without a login, the response reveals nothing.
    expect(open(path).status).toBe(200)
  })

  test("a page is 200 if the database cannot be read, because the page shows the error", () => {
    const broken = {
      prepare: () => {
        throw new Error("disk I/O error")
      },
    }
    const deps = { db: broken as never, registry: app.store.registry, now: () => 0 }
    const response = pageResponse(deps, new Request("http://localhost/embed/x"), file)
    expect([response.status, response.headers.get("x-frame-options")]).toEqual([200, "DENY"])
  })
})
