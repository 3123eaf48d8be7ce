import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { type KeyGrant, scopes } from "../../src/store/keys.ts"
import { createLoginSession } from "../../src/store/login-sessions.ts"
import { createNote, maxNotes } from "../../src/store/notes.ts"
import { createShare, maxShares } from "../../src/store/shares.ts"
import { createUser } from "../../src/store/users.ts"
import { createView, maxViews } from "../../src/store/views.ts"
import { createWebsite, deleteWebsite, findWebsite } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"

// biome-ignore lint/suspicious/noExplicitAny: bodies are only compared
type Json = any

interface Answer {
  status: number
  reason: string | null
  body: Json
}

const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)

let app: TestApp
let admin: string

beforeEach(() => {
  app = openApp()
  for (const id of ["mine", "theirs"]) {
    const settings = { domain: `${id}.example`, name: id, allowedOrigins: [], anonymize: "off" as const }
    createWebsite(app.store.db, id, settings, app.clock.now)
  }
  admin = giveKey(app).secret
})

afterEach(() => app.close())

async function call(method: string, path: string, body?: unknown, key = admin): Promise<Answer> {
  return send(method, path, body, { Authorization: `Bearer ${key}` })
}

async function send(
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string>,
): Promise<Answer> {
  const text = body === undefined ? null : JSON.stringify(body)
  const response = await app.send(new Request(`http://localhost/v1/${path}`, { method, headers, body: text }))
  const { status } = response
  return { status, reason: response.headers.get("x-databuddy-reason"), body: await response.json() }
}

/** Creates an item and returns it. */
async function made(kind: "note" | "view" | "share", website: string, more: object = {}): Promise<Json> {
  const { status, body } = await call("POST", `${kind}s?website_id=${website}`, {
    ...examples[kind],
    ...more,
  })
  expect([status, body.error]).toEqual([201, undefined])
  return kind === "share" ? body : body[kind]
}

const examples = {
  note: { date: "2026-11-24", text: "Release 2" },
  view: { kind: "funnel", name: "Sign-up", path: "funnels?step=signed_up&step=bought" },
  share: { name: "For the board", path: "overview?range=last_30d", expiresAt: "2026-09-01" },
}
const kinds = ["note", "view", "share"] as const

describe("a note", () => {
  test("is stored for a website and returned with its date", async () => {
    const note = await made("note", "mine")
    expect(note).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      websiteId: "mine",
      date: "2026-11-24",
      text: "Release 2",
      createdAt: "2026-08-01T12:00:00.000Z",
    })
    expect((await call("GET", "notes?website_id=mine")).body).toEqual({
      success: true,
      notes: [note],
      total: 1,
    })
    expect((await call("GET", "notes?website_id=theirs")).body.total).toBe(0)
  })

  test("for all websites is in the list of each, newest date first", async () => {
    const [one, all, none] = [
      await made("note", "mine", { date: "2026-11-02" }),
      await made("note", "all", { date: "2026-11-03" }),
      await made("note", "none", { date: "2026-11-01" }),
    ]
    expect([one.websiteId, all.websiteId, none.websiteId]).toEqual(["mine", null, "none"])
    const listed = async (id: string) => (await call("GET", `notes?website_id=${id}`)).body.notes
    expect(await listed("mine")).toEqual([all, one])
    expect(await listed("theirs")).toEqual([all])
    expect(await listed("none")).toEqual([all, none])
    expect(await listed("all")).toEqual([all])
  })

  test("changes the given fields and nothing else", async () => {
    const note = await made("note", "mine")
    const changes = [{ text: "Release 3" }, { date: "2026-11-25" }, {}]
    let expected = note
    for (const change of changes) {
      expected = { ...expected, ...change }
      expect((await call("PATCH", `notes/${note.id}`, change)).body).toEqual({
        success: true,
        note: expected,
      })
    }
    expect((await call("GET", "notes?website_id=mine")).body.notes).toEqual([expected])
  })
})

describe("a saved view", () => {
  test("is stored for a website, and listed by name", async () => {
    const [b, a] = [
      await made("view", "mine", { name: "beta" }),
      await made("view", "mine", { name: "Alpha" }),
    ]
    expect(b).toEqual({
      id: expect.any(String),
      websiteId: "mine",
      kind: "funnel",
      name: "beta",
      path: "funnels?step=signed_up&step=bought",
      createdAt: "2026-08-01T12:00:00.000Z",
    })
    expect((await call("GET", "views?website_id=mine")).body).toEqual({
      success: true,
      views: [a, b],
      total: 2,
    })
  })

  test("belongs to one website, to none, or to all", async () => {
    for (const id of ["mine", "none", "all"]) await made("view", id, { name: id })
    for (const id of ["mine", "none", "all"]) {
      const { views } = (await call("GET", `views?website_id=${id}`)).body
      expect(views.map((one: Json) => [one.name, one.websiteId])).toEqual([[id, id === "all" ? null : id]])
    }
  })

  test("is listed by its kind", async () => {
    for (const kind of ["view", "funnel", "retention", "paths", "goal"]) await made("view", "mine", { kind })
    const { views } = (await call("GET", "views?website_id=mine&kind=goal")).body
    expect(views.map((one: Json) => one.kind)).toEqual(["goal"])
    expect((await call("GET", "views?website_id=mine&kind=other")).reason).toBe("invalid_shape")
  })

  test("can change its name and its path, but not its kind", async () => {
    const view = await made("view", "mine")
    const changed = await call("PATCH", `views/${view.id}`, { name: "New", path: "funnels?step=a" })
    expect(changed.body.view).toEqual({ ...view, name: "New", path: "funnels?step=a" })
    expect((await call("PATCH", `views/${view.id}`, { kind: "goal" })).body.errors).toEqual([
      { field: "kind", message: "is not a field of this request" },
    ])
  })
})

describe("input validation:", () => {
  const text = "must be a string of 1 to 500 characters without control characters"
  const name = "must be a string of 1 to 256 characters without control characters"
  const day = "must be a date between 1970 and 2199, such as 2026-11-24"
  const path =
    "must be a dashboard page and query string, without the website's prefix, such as funnels?step=signed_up, of at most 4096 characters"
  const expiry = "must be a date in the future, as ISO 8601 or Unix milliseconds, or null"
  const host =
    "must be an origin such as https://example.com, https://example.com:8443, https://*.example.com, or http://localhost:3000"
  const pages =
    "must be null or one of web, overview, events, event, funnels, retention, paths, goals, errors, vitals, engagement"
  const wrongHosts = [
    ["over http", "http://example.com"],
    ["without a scheme", "example.com"],
    ["with a path", "https://example.com/x"],
    ["with a query", "https://example.com?x"],
    ["with credentials", "https://me@example.com"],
    ["that ends the CSP directive", "https://example.com; script-src *"],
    ["with a space", "https://example.com *"],
    ["that is a keyword", "'self'"],
    ["that matches every host", "*"],
    ["that matches every host over https", "https://*"],
    ["for a whole top-level domain", "https://*.com"],
    ["with a wildcard in a label", "https://a*.example.com"],
    ["with two wildcards", "https://*.*.example.com"],
    ["with a wildcard over http", "http://*.localhost.example"],
    ["with a wildcard port", "https://example.com:*"],
    ["with another scheme", "data:text/html,x"],
    ["that is empty", ""],
    ["with a line feed", "https://example.com\nx"],
  ].map(
    ([label, text]) =>
      [
        `a host ${label}`,
        "share",
        { embedHosts: ["https://a.example", text] },
        "embedHosts.1",
        host,
      ] as const,
  )
  const wrong: (readonly [string, (typeof kinds)[number], object, string, string])[] = [
    ...wrongHosts,
    ["a share of an unknown page", "share", { page: "settings" }, "page", pages],
    ["a share of people", "share", { path: "people", page: "people" }, "page", pages],
    [
      "a share of a page whose path is another page",
      "share",
      { page: "web" },
      "page",
      "must be the first segment of path",
    ],
    [
      "a share of a page with an empty path",
      "share",
      { path: "", page: "web" },
      "page",
      "must be the first segment of path",
    ],
    ["a note without text", "note", { text: "" }, "text", text],
    ["a note of 501 characters", "note", { text: "x".repeat(501) }, "text", text],
    ["a note of two lines", "note", { text: "a\nb" }, "text", text],
    ["a note with half a surrogate pair", "note", { text: "\ud800" }, "text", text],
    ["a note on a day that does not exist", "note", { date: "2026-02-30" }, "date", day],
    ["a note in a month that does not exist", "note", { date: "2026-13-01" }, "date", day],
    ["a note with a time of day", "note", { date: "2026-11-24T00:00:00Z" }, "date", day],
    ["a note before 1970", "note", { date: "1969-12-31" }, "date", day],
    ["a note after 2199", "note", { date: "2200-01-01" }, "date", day],
    ["a note with an author", "note", { by: "me" }, "by", "is not a field of this request"],
    ["a view without a name", "view", { name: "" }, "name", name],
    ["a view with a name of 257 characters", "view", { name: "x".repeat(257) }, "name", name],
    ["a view with an escape sequence in its name", "view", { name: "\u001b[2J" }, "name", name],
    [
      "a view of another kind",
      "view",
      { kind: "table" },
      "kind",
      "must be one of view, funnel, retention, paths, goal",
    ],
    ["a path of 4,097 characters", "view", { path: `x?${"y".repeat(4_095)}` }, "path", path],
    ["a path from the root", "view", { path: "/settings/users" }, "path", path],
    ["a path to another server", "view", { path: "//evil.example" }, "path", path],
    ["a path to a parent folder", "view", { path: "x/../../settings" }, "path", path],
    ["a path that is only the parent folder", "view", { path: ".." }, "path", path],
    ["a path to the parent folder, escaped", "view", { path: "%2e%2e/settings/users" }, "path", path],
    ["a path to the parent folder, in capitals", "view", { path: "x/%2E./y" }, "path", path],
    ["a path to the current folder, escaped", "view", { path: "x/%2e" }, "path", path],
    ["a path to the parent folder, escaped twice", "view", { path: "%252e%252E/settings" }, "path", path],
    ["a path with escaped escapes", "view", { path: "%25%32%65./settings" }, "path", path],
    ["a path with an escaped slash", "view", { path: "x%2f..%2fy" }, "path", path],
    ["a path with an escaped backslash", "view", { path: "x%5c%2e%2e%5Cy" }, "path", path],
    ["a path with a line feed that browsers drop", "view", { path: "x/.%0a./y" }, "path", path],
    ["a path that is escaped hundreds of times", "view", { path: `%${"25".repeat(400)}2e/x` }, "path", path],
    ["a share of the parent folder, escaped", "share", { path: "%2e%2e/%2e%2e/docs" }, "path", path],
    ["a URL", "view", { path: "http://evil.example/x" }, "path", path],
    ["a path with a backslash", "view", { path: "x\\y" }, "path", path],
    ["a path with markup", "view", { path: "<img onerror=alert(1)>" }, "path", path],
    ["a path with a fragment", "view", { path: "x#y" }, "path", path],
    ["a path with a space", "view", { path: "x y" }, "path", path],
    ["a path that is not escaped", "view", { path: "x?y=ü" }, "path", path],
    ["a share without a name", "share", { name: "" }, "name", name],
    ["a share of a path from the root", "share", { path: "/" }, "path", path],
    ["a share that has expired", "share", { expiresAt: "2026-08-01T12:00:00Z" }, "expiresAt", expiry],
    ["a share with an invalid expiry", "share", { expiresAt: "soon" }, "expiresAt", expiry],
    ["a share without an expiry", "share", { expiresAt: undefined }, "expiresAt", expiry],
    [
      "a share with its own scopes",
      "share",
      { scopes: ["read:data"] },
      "scopes",
      "is not a field of this request",
    ],
  ]
  test.each(wrong)("%s is rejected, and the field is named", async (_, kind, more, field, message) => {
    const answer = await call("POST", `${kind}s?website_id=mine`, { ...examples[kind], ...more })
    expect([answer.status, answer.body.errors]).toEqual([400, [{ field, message }]])
    expect((await call("GET", `${kind}s?website_id=mine`)).body.total).toBe(0)
  })

  const right: [string, (typeof kinds)[number], object][] = [
    ["a note of one character", "note", { text: "x" }],
    ["a note of 500 characters with markup", "note", { text: `<img onerror=alert(1)>${"漢".repeat(478)}` }],
    ["a note on the 29th of February", "note", { date: "2028-02-29" }],
    ["a view with a name of 256 characters", "view", { name: "x".repeat(256) }],
    ["the overview, which has an empty path", "view", { path: "" }],
    ["only a query string", "view", { path: "?range=last_7d" }],
    ["a page below another page", "view", { path: "people/user%2F1?f=property.plan%3Dpro#".slice(0, -1) }],
    ["a path that contains dots", "view", { path: "event/v1..2/.x" }],
    ["a path with an escaped percent sign and dot", "view", { path: "event/100%25%2e5/..." }],
    ["dots in the query string, which are not folders", "view", { path: "x?y=../%2e%2e" }],
    ["a path of 4,096 characters", "view", { path: `x?${"y".repeat(4_094)}` }],
    ["a share without an end", "share", { expiresAt: null }],
    ["a share of one page", "share", { path: "event?name=x", page: "event" }],
    [
      "a share that can be embedded by several origins",
      "share",
      {
        embedHosts: [
          "https://example.com",
          "https://example.com:8443",
          "https://*.example.com",
          "http://localhost:3000",
          "https://192.0.2.1",
          "https://xn--bcher-kva.example",
        ],
      },
    ],
  ]
  test.each(right)("%s is accepted", async (_, kind, more) => {
    expect(await made(kind, "mine", more)).toMatchObject(kind === "share" ? { share: more } : more)
  })

  test("changes are validated too", async () => {
    const [note, view] = [await made("note", "mine"), await made("view", "mine")]
    const changes: [string, object, string][] = [
      [`notes/${note.id}`, { text: "" }, "text"],
      [`notes/${note.id}`, { date: "2026-02-30" }, "date"],
      [`notes/${note.id}`, { websiteId: "theirs" }, "websiteId"],
      [`views/${view.id}`, { name: "a\nb" }, "name"],
      [`views/${view.id}`, { path: "/x" }, "path"],
      [`views/${view.id}`, { path: "%2e%2e/x" }, "path"],
    ]
    for (const [path, change, field] of changes) {
      const answer = await call("PATCH", path, change)
      expect([answer.status, answer.body.errors[0].field]).toEqual([400, field])
    }
  })

  test("an item beyond the maximum is rejected", async () => {
    const { db } = app.store
    const { rid } = findWebsite(db, "mine")
    db.transaction(() => {
      for (let n = 0; n < maxNotes; n++)
        createNote(db, `n${n}`, { place: rid, date: "2026-01-01", text: "x" }, 0)
      for (let n = 0; n < maxViews; n++) {
        createView(db, `v${n}`, { place: rid, kind: "view", name: "x", path: "" }, 0)
      }
      for (let n = 0; n < maxShares; n++) {
        createShare(
          db,
          `s${n}`,
          rid,
          { name: "x", path: "", page: null, embedHosts: [], expiresAt: null },
          random,
          0,
        )
      }
    })()
    for (const kind of kinds) {
      const answer = await call("POST", `${kind}s?website_id=mine`, examples[kind])
      expect([answer.status, answer.body.error]).toEqual([409, expect.stringContaining("delete some first")])
      await made(kind, "theirs")
    }
  })
})

describe("a website", () => {
  const places: [string, string, number, string][] = [
    ["that is not given", "", 400, "invalid_shape"],
    ["with an empty id", "?website_id=", 400, "invalid_shape"],
    ["that does not exist", "?website_id=nobody", 404, "website_unknown"],
    ["that is given twice", "?website_id=mine&website=theirs", 400, "invalid_shape"],
  ]
  test.each(places)("%s has no notes, views or share links", async (_, query, status, reason) => {
    for (const kind of kinds) {
      for (const answer of [
        ...(kind === "share" && query === "" ? [] : [await call("GET", `${kind}s${query}`)]),
        await call("POST", `${kind}s${query}`, examples[kind]),
      ]) {
        // Share links can be listed without a website, and the list is empty for a website that does not exist.
        if (kind === "share" && answer.status === 200) expect(answer.body.total).toBe(0)
        else expect([kind, answer.status, answer.reason]).toEqual([kind, status, reason])
      }
    }
  })

  test("that is deleted loses its own items, and no others are deleted", async () => {
    for (const kind of kinds) for (const id of ["mine", "theirs"]) await made(kind, id)
    for (const kind of ["note", "view"] as const) for (const id of ["none", "all"]) await made(kind, id)
    const { link } = await made("share", "mine")
    expect((await call("DELETE", "websites/mine")).status).toBe(200)
    const { db } = app.store
    const rid = findWebsite(db, "theirs").rid
    for (const table of ["notes", "views", "shares"]) {
      const left = db.prepare(`select website_rid from ${table} order by website_rid`).pluck().all()
      expect(left).toEqual(table === "shares" ? [rid] : [null, 0, rid])
    }
    const shared = await send("GET", "notes?website_id=theirs", undefined, {
      "x-databuddy-share": link.slice("/share/".length),
    })
    expect(shared.reason).toBe("share_ended")
  })

  test("that is created again with the same id has no items of the deleted website", async () => {
    await made("note", "mine")
    await call("DELETE", "websites/mine")
    await call("POST", "websites", { domain: "mine.example", id: "mine" })
    expect((await call("GET", "notes?website_id=mine")).body.notes).toEqual([])
  })
})

test.each(kinds)("a %s that does not exist or was deleted is not found", async (kind) => {
  const one = await made(kind, "mine")
  const { id } = kind === "share" ? one.share : one
  expect((await call("DELETE", `${kind}s/${id}`)).body).toEqual({ success: true })
  for (const answer of [
    await call("DELETE", `${kind}s/${id}`),
    ...(kind === "share" ? [] : [await call("PATCH", `${kind}s/${id}`, {})]),
  ]) {
    expect([answer.status, answer.reason]).toEqual([404, `${kind}_unknown`])
  }
})

describe("permissions:", () => {
  const scopesOf: Record<string, [read: KeyGrant["scopes"], write: KeyGrant["scopes"]]> = {
    note: [["read:reports"], ["manage:websites"]],
    view: [["read:data"], ["manage:websites"]],
    share: [["manage:users"], ["manage:users", "read:reports"]],
  }

  test.each(kinds)("a %s cannot be read or saved without the scope", async (kind) => {
    const one = await made(kind, "mine")
    const { id } = kind === "share" ? one.share : one
    const [read = [], write = []] = scopesOf[kind] ?? []
    for (const scope of scopes) {
      const key = giveKey(app, { scopes: [scope] }).secret
      const mayRead = read.includes(scope) || (scope === "read:data" && read.includes("read:reports"))
      expect([scope, (await call("GET", `${kind}s?website_id=mine`, undefined, key)).status]).toEqual([
        scope,
        mayRead ? 200 : 403,
      ])
      if (scope === write[0]) continue
      for (const answer of [
        await call("POST", `${kind}s?website_id=mine`, examples[kind], key),
        await call("DELETE", `${kind}s/${id}`, undefined, key),
        ...(kind === "share" ? [] : [await call("PATCH", `${kind}s/${id}`, {}, key)]),
      ]) {
        expect([scope, answer.status, answer.reason]).toEqual([scope, 403, "scope_missing"])
      }
    }
    expect(
      (await call("POST", `${kind}s?website_id=mine`, examples[kind], giveKey(app, { scopes: write }).secret))
        .status,
    ).toBe(201)
  })

  test("a viewer can read notes and views, but cannot save any", async () => {
    const { db } = app.store
    const user = { email: "ada@example.com", role: "viewer" as const, websites: ["mine"], sections: null }
    createUser(db, "ada", user, null, app.clock.now)
    const cookie = `databuddy_session=${createLoginSession(db, "ada", random, app.clock.now)}`
    const headers = { cookie, "x-databuddy-page": "1" }
    for (const kind of ["note", "view"] as const) {
      const { id } = await made(kind, "mine")
      const list = await send("GET", `${kind}s?website_id=mine`, undefined, headers)
      expect(list.body.total).toBe(1)
      for (const answer of [
        await send("POST", `${kind}s?website_id=mine`, examples[kind], headers),
        await send("PATCH", `${kind}s/${id}`, {}, headers),
        await send("DELETE", `${kind}s/${id}`, undefined, headers),
      ]) {
        expect([answer.status, answer.reason]).toEqual([403, "scope_missing"])
      }
      expect((await send("GET", `${kind}s?website_id=theirs`, undefined, headers)).reason).toBe(
        "key_website_mismatch",
      )
    }
    expect((await send("GET", "shares", undefined, headers)).reason).toBe("scope_missing")
  })

  test("a caller limited to a website only sees and saves its items", async () => {
    const limited = giveKey(app, { websites: ["mine"] }).secret
    const ids: Record<string, string> = {}
    for (const kind of ["note", "view"] as const) {
      for (const place of ["mine", "theirs", "all", "none"])
        ids[`${kind} ${place}`] = (await made(kind, place)).id
    }
    for (const kind of ["note", "view"] as const) {
      for (const place of ["theirs", "all", "none"]) {
        for (const answer of [
          await call("POST", `${kind}s?website_id=${place}`, examples[kind], limited),
          await call("PATCH", `${kind}s/${ids[`${kind} ${place}`]}`, {}, limited),
          await call("DELETE", `${kind}s/${ids[`${kind} ${place}`]}`, undefined, limited),
          ...(place === "all" ? [] : [await call("GET", `${kind}s?website_id=${place}`, undefined, limited)]),
        ]) {
          expect([kind, place, answer.status, answer.reason]).toEqual([
            kind,
            place,
            403,
            "key_website_mismatch",
          ])
        }
      }
      expect((await call("GET", `${kind}s?website_id=all`, undefined, limited)).body.total).toBe(1)
      expect((await call("POST", `${kind}s?website_id=mine`, examples[kind], limited)).status).toBe(201)
      expect((await call("PATCH", `${kind}s/${ids[`${kind} mine`]}`, {}, limited)).status).toBe(200)
      expect((await call("DELETE", `${kind}s/${ids[`${kind} mine`]}`, undefined, limited)).status).toBe(200)
    }
  })
})

describe("a share link", () => {
  const shown = (link: string) => ({ "x-databuddy-share": link.slice("/share/".length) })

  test("is shown once, and is then listed without its token", async () => {
    const { share, link } = await made("share", "mine")
    expect(link).toMatch(/^\/share\/[\w-]{43}$/)
    expect(share).toEqual({
      id: expect.any(String),
      websiteId: "mine",
      name: "For the board",
      path: "overview?range=last_30d",
      page: null,
      boardId: null,
      boardName: null,
      isActive: true,
      embedHosts: [],
      createdAt: "2026-08-01T12:00:00.000Z",
      expiresAt: "2026-09-01T00:00:00.000Z",
      lastUsedAt: null,
      previousExpiresAt: null,
    })
    const list = await call("GET", "shares")
    expect(list.body).toEqual({ success: true, shares: [share], total: 1 })
    expect((await call("GET", "shares?website_id=theirs")).body.total).toBe(0)
    const storedHash = app.store.db.prepare("select hex(hash) from shares").pluck().get()
    expect(storedHash).toBe(Bun.SHA256.hash(link.slice("/share/".length), "hex").toUpperCase())
  })

  test("lets anyone read the reports of its website", async () => {
    const { link } = await made("share", "mine")
    await made("note", "mine")
    const headers = shown(link)
    const query = await send("POST", "query?website_id=mine", { parameters: ["custom_events"] }, headers)
    expect([query.status, query.body.data[0].success]).toEqual([200, true])
    expect((await send("GET", "notes?website_id=mine", undefined, headers)).body.total).toBe(1)
    expect((await send("GET", "views?website_id=mine", undefined, headers)).reason).toBe("scope_missing")
    const { websites } = (await send("GET", "query/websites", undefined, headers)).body
    expect(websites.map((one: Json) => one.id)).toEqual(["mine"])
    expect((await send("GET", "me", undefined, headers)).body).toMatchObject({
      user: null,
      share: {
        name: "For the board",
        websiteId: "mine",
        path: "overview?range=last_30d",
        page: null,
        expiresAt: "2026-09-01T00:00:00.000Z",
      },
    })
  })

  const attempts: [string, string, string, unknown, string][] = [
    [
      "another website",
      "POST",
      "query?website_id=theirs",
      { parameters: ["custom_events"] },
      "key_website_mismatch",
    ],
    [
      "the owner's own events",
      "POST",
      "query?website_id=none",
      { parameters: ["custom_events"] },
      "key_website_mismatch",
    ],
    ["another website's notes", "GET", "notes?website_id=theirs", undefined, "key_website_mismatch"],
    ["the live event stream", "GET", "events/stream?website_id=mine", undefined, "scope_missing"],
    ["profiles", "GET", "profiles?website_id=mine", undefined, "scope_missing"],
    ["an export", "GET", "export?website_id=mine", undefined, "scope_missing"],
    ["rejected requests", "GET", "refusals", undefined, "scope_missing"],
    ["keys", "GET", "keys", undefined, "scope_missing"],
    ["websites", "GET", "websites", undefined, "scope_missing"],
    ["users", "GET", "users", undefined, "scope_missing"],
    ["share links", "GET", "shares", undefined, "scope_missing"],
    ["the status of the server", "GET", "status", undefined, "scope_missing"],
    ["permission to save a note", "POST", "notes?website_id=mine", examples.note, "scope_missing"],
    ["permission to create another link", "POST", "shares?website_id=mine", examples.share, "scope_missing"],
    ["permission to forget a person", "POST", "websites/mine/forget", { profileId: "x" }, "scope_missing"],
  ]
  test.each(attempts)("does not grant access to %s", async (_, method, path, body, reason) => {
    const overview = { path: "overview", page: "overview" }
    for (const { link } of [await made("share", "mine"), await made("share", "mine", overview)]) {
      const answer = await send(method, path, body, shown(link))
      expect([answer.status, answer.reason]).toEqual([403, reason])
    }
  })

  const counted = { measures: ["events"] }
  const pageQueries: [page: string, parameter: object | string, isAllowed: boolean][] = [
    ["web", "summary_metrics", true],
    ["web", "top_pages", true],
    ["web", "custom_events", false],
    ["web", { name: "events", kinds: ["page_view"], ...counted }, true],
    ["web", { name: "events", kinds: ["page_view", "custom"], ...counted }, false],
    ["web", { name: "events", ...counted }, false],
    ["overview", "custom_events_summary", true],
    ["overview", { name: "events", ...counted }, true],
    ["overview", { name: "events", kinds: ["error"], ...counted }, false],
    ["overview", { name: "funnel", steps: ["a", "b"] }, false],
    ["overview", "no_such_type", false],
    ["overview", "constructor", false],
    ["funnels", { name: "funnel", steps: ["a", "b"] }, true],
    ["funnels", { name: "goals", steps: ["a"] }, false],
    ["errors", "errors_by_page", true],
    ["errors", "vitals_overview", false],
    ["vitals", "vitals_overview", true],
    ["engagement", "scroll_depth_distribution", true],
    ["engagement", { name: "events", kinds: ["engagement"], ...counted }, false],
  ]
  test.each(pageQueries)(
    "that is limited to %s and queried for %j allows it: %p",
    async (page, parameter, isAllowed) => {
      const { link } = await made("share", "mine", { path: page, page })
      const body = { parameters: [parameter] }
      for (const sent of [body, [body]]) {
        const answer = await send("POST", "query?website_id=mine", sent, shown(link))
        expect([answer.status, answer.reason ?? null]).toEqual(
          isAllowed ? [200, null] : [403, "section_missing"],
        )
        if (!isAllowed)
          expect(answer.body.error).toStartWith(`this share link is limited to the page ${page}, and`)
      }
    },
  )

  test("that is limited to one page can still read the name of its website and the annotations", async () => {
    const { link, share } = await made("share", "mine", { path: "funnels?step=a&step=b", page: "funnels" })
    expect(share.page).toBe("funnels")
    await made("note", "mine")
    expect((await send("GET", "notes?website_id=mine", undefined, shown(link))).body.total).toBe(1)
    expect((await send("GET", "query/websites", undefined, shown(link))).body.websites[0].name).toBe("mine")
    expect((await send("GET", "me", undefined, shown(link))).body.share.page).toBe("funnels")
  })

  test("can change its name and the hosts that can embed it, and nothing else", async () => {
    const { share } = await made("share", "mine", { embedHosts: ["https://a.example"] })
    const changes = { name: "Wiki", embedHosts: ["https://B.example/", "https://*.c.example:8443"] }
    const { body } = await call("PATCH", `shares/${share.id}`, changes)
    expect(body.share).toEqual({
      ...share,
      name: "Wiki",
      embedHosts: ["https://b.example", "https://*.c.example:8443"],
    })
    expect((await call("PATCH", `shares/${share.id}`, {})).body.share).toEqual(body.share)
    expect((await call("PATCH", `shares/${share.id}`, { page: "web" })).body.errors).toEqual([
      { field: "page", message: "is not a field of this request" },
    ])
  })

  const hour = 3_600_000
  test("that is rotated with an overlap has two valid tokens until the overlap ends", async () => {
    const { link, share } = await made("share", "mine", { expiresAt: null })
    const works = async (...links: string[]) =>
      Promise.all(
        links.map(async (one) => (await send("GET", "notes?website_id=mine", undefined, shown(one))).status),
      )
    const rotate = async (body?: object) => (await call("POST", `shares/${share.id}/rotate`, body)).body
    const second = await rotate({ overlap: "1h" })
    expect(second.share).toEqual({ ...share, previousExpiresAt: "2026-08-01T13:00:00.000Z" })
    expect(await works(link, second.link)).toEqual([200, 200])
    app.clock.now += hour - 1
    expect(await works(link, second.link)).toEqual([200, 200])
    // A second rotation invalidates the first token and starts a new overlap for the second one.
    const third = await rotate({ overlap: "1d" })
    expect(await works(link, second.link, third.link)).toEqual([401, 200, 200])
    app.clock.now += 24 * hour
    expect(await works(second.link, third.link)).toEqual([401, 200])
    const fourth = await rotate({ overlap: "7d" })
    expect(await works(third.link, fourth.link)).toEqual([200, 200])
    const ended = await call("DELETE", `shares/${share.id}/overlap`)
    expect(ended.body.share.previousExpiresAt).toBeNull()
    expect(await works(third.link, fourth.link)).toEqual([401, 200])
    const fifth = await rotate()
    expect(await works(fourth.link, fifth.link)).toEqual([401, 200])
    const sixth = await rotate({ overlap: "1d" })
    await call("DELETE", `shares/${share.id}`)
    expect(await works(fifth.link, sixth.link)).toEqual([401, 401])
  })

  test("that is rotated expires as before, and cannot be rotated afterwards", async () => {
    const { link, share } = await made("share", "mine", { expiresAt: app.clock.now + hour })
    await call("POST", `shares/${share.id}/rotate`, { overlap: "7d" })
    app.clock.now += hour
    expect((await send("GET", "notes?website_id=mine", undefined, shown(link))).reason).toBe("share_ended")
    const late = await call("POST", `shares/${share.id}/rotate`)
    expect([late.status, late.reason]).toEqual([409, "conflict"])
    const wrong = await call("POST", `shares/${share.id}/rotate`, { overlap: "2h" })
    expect(wrong.body.errors).toEqual([{ field: "overlap", message: "must be one of none, 1h, 1d, 7d" }])
  })

  test("cannot be rotated with a key that has less access than the link grants", async () => {
    const { share } = await made("share", "mine")
    const narrow = giveKey(app, { scopes: ["manage:users"] }).secret
    const answer = await call("POST", `shares/${share.id}/rotate`, undefined, narrow)
    expect([answer.status, answer.reason]).toEqual([403, "grant_too_wide"])
  })

  const people: [string, object][] = [
    ["people", { name: "people" }],
    ["sessions", { name: "sessions" }],
    ["one person", { name: "person", anonymousId: "a" }],
    ["individual events", { name: "custom_events_recent" }],
    [
      "a step for one visitor",
      { name: "goals", steps: [{ name: "a", filters: [{ field: "anonymous_id", op: "eq", value: "v" }] }] },
    ],
    ["a breakdown by visitor", { name: "events", by: ["anonymous_id"] }],
    [
      "a filter on a profile",
      { name: "custom_events", filters: [{ field: "profile_id", op: "eq", value: "p" }] },
    ],
  ]
  test.each(people)("does not show %s", async (_, parameter) => {
    const { link } = await made("share", "mine")
    const { status, body } = await send(
      "POST",
      "query?website_id=mine",
      { parameters: [parameter, "custom_events"] },
      shown(link),
    )
    expect([status, body.data.map((one: Json) => one.success)]).toEqual([200, [false, true]])
    expect(body.data[0].error).toMatch(/link|read:data/)
  })

  const ends: [string, (id: string) => unknown][] = [
    ["has expired", () => (app.clock.now = Date.UTC(2026, 8, 1))],
    ["was deleted", (id) => call("DELETE", `shares/${id}`)],
    ["lost its website", () => deleteWebsite(app.store.db, "mine", app.clock.now)],
  ]
  test.each(ends)("that %s is rejected with an error that explains it", async (_, end) => {
    const { share, link } = await made("share", "mine")
    expect((await send("GET", "notes?website_id=mine", undefined, shown(link))).status).toBe(200)
    await end(share.id)
    const answer = await send("GET", "notes?website_id=mine", undefined, shown(link))
    expect([answer.status, answer.reason, answer.body.error]).toEqual([
      401,
      "share_ended",
      "the share link has expired, has been revoked or never existed. Ask the person who shared it for a new link.",
    ])
    expect((await send("GET", "me", undefined, shown(link))).body).toMatchObject({ user: null, share: null })
  })

  test("that never existed is treated like a link that has ended", async () => {
    for (const token of ["x".repeat(43), "", "%", "dbdy_x"]) {
      const answer = await send("GET", "query/websites", undefined, { "x-databuddy-share": token })
      expect([answer.status, answer.reason]).toEqual([401, "share_ended"])
    }
  })

  test("cannot be used to send events", async () => {
    const { link } = await made("share", "mine")
    const response = await app.send(
      new Request("http://localhost/track", { method: "POST", headers: shown(link), body: '{"name":"a"}' }),
    )
    expect(response.headers.get("x-databuddy-reason")).toBe("credential_missing")
  })

  test("takes precedence over a login in the same request", async () => {
    const { link } = await made("share", "mine")
    const headers = { ...shown(link), cookie: `databuddy_session=${"x".repeat(43)}` }
    expect((await send("GET", "query/websites", undefined, headers)).status).toBe(200)
    expect((await send("GET", "keys", undefined, headers)).reason).toBe("scope_missing")
  })

  test("yields to a key in the same request", async () => {
    const { link } = await made("share", "mine")
    const headers = { ...shown(link), Authorization: `Bearer ${admin}` }
    expect((await send("GET", "keys", undefined, headers)).status).toBe(200)
  })

  test("shows when it was last used, to the minute", async () => {
    const { share, link } = await made("share", "mine")
    const lastUsed = async () => {
      await app.store.batcher.drain()
      return (await call("GET", "shares")).body.shares[0].lastUsedAt
    }
    const times: [number, string][] = [
      [0, "2026-08-01T12:00:00.000Z"],
      [59_999, "2026-08-01T12:00:00.000Z"],
      [1, "2026-08-01T12:01:00.000Z"],
    ]
    for (const [later, expected] of times) {
      app.clock.now += later
      await send("GET", "notes?website_id=mine", undefined, shown(link))
      expect(await lastUsed()).toBe(expected)
    }
    expect(share.lastUsedAt).toBeNull()
  })

  test("has a rate limit per address, like a website id", async () => {
    await app.close()
    app = openApp(({ settings }) => ({ settings: { ...settings, rateLimit: 2 } }))
    const website = { domain: "mine.example", name: "mine", allowedOrigins: [], anonymize: "off" as const }
    createWebsite(app.store.db, "mine", website, app.clock.now)
    admin = giveKey(app).secret
    const { link } = await made("share", "mine")
    const statuses = []
    for (let n = 0; n < 3; n++) {
      statuses.push((await send("GET", "notes?website_id=mine", undefined, shown(link))).status)
    }
    expect(statuses).toEqual([200, 200, 429])
    expect((await call("GET", "notes?website_id=mine")).status).toBe(200)
  })

  const limits: [string, Partial<KeyGrant>, object, string][] = [
    ["for another website", { websites: ["mine"] }, {}, "key_website_mismatch"],
    ["that grants more than its creator's key", { scopes: ["manage:users"] }, {}, "grant_too_wide"],
    [
      "that outlives its creator's key",
      { expiresAt: Date.UTC(2026, 8, 1) },
      { expiresAt: "2026-09-02" },
      "grant_too_wide",
    ],
    [
      "without an end, with a key that expires",
      { expiresAt: Date.UTC(2026, 8, 1) },
      { expiresAt: null },
      "grant_too_wide",
    ],
  ]
  test.each(limits)("%s cannot be created", async (_, grant, more, reason) => {
    const key = giveKey(app, grant).secret
    const answer = await call("POST", "shares?website_id=theirs", { ...examples.share, ...more }, key)
    expect([answer.status, answer.reason]).toEqual([403, reason])
  })

  test.each(["all", "none"])("for %s cannot be created unless a website has that id", async (id) => {
    const answer = await call("POST", `shares?website_id=${id}`, examples.share)
    expect([answer.status, answer.body.errors]).toEqual([
      400,
      [
        {
          field: "website_id",
          message:
            'must be a website ID, or "all" for a board that covers all websites, because a share link shows one website or one board',
        },
      ],
    ])
    // Earlier versions could create such websites.
    const settings = { domain: "called.example", name: id, allowedOrigins: [], anonymize: "off" as const }
    createWebsite(app.store.db, id, settings, 0)
    app.store.registry.refresh()
    expect((await made("share", id)).share.websiteId).toBe(id)
  })

  test("for another website cannot be listed or revoked by a caller limited to one", async () => {
    const limited = giveKey(app, { websites: ["mine"] }).secret
    const [{ share: own }, { share: other }] = [await made("share", "mine"), await made("share", "theirs")]
    expect((await call("GET", "shares", undefined, limited)).body.shares).toEqual([own])
    expect((await call("GET", "shares?website_id=theirs", undefined, limited)).reason).toBe(
      "key_website_mismatch",
    )
    for (const [method, path] of [
      ["DELETE", ""],
      ["PATCH", ""],
      ["POST", "/rotate"],
      ["DELETE", "/overlap"],
    ] as const) {
      const body = method === "PATCH" ? {} : undefined
      expect((await call(method, `shares/${other.id}${path}`, body, limited)).reason).toBe(
        "key_website_mismatch",
      )
    }
    expect((await call("DELETE", `shares/${own.id}`, undefined, limited)).status).toBe(200)
  })
})
