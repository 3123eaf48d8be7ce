import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { type AppDeps, createApp } from "../../src/app.ts"
import { pageResponse } from "../../src/dashboard/route.ts"
import { types } from "../../src/query-api/query-types.ts"
import { reportPages } from "../../src/sections.ts"
import type { KeyGrant } from "../../src/store/keys.ts"
import { createLoginSession } from "../../src/store/login-sessions.ts"
import { createUser, deleteUser, updateUser } from "../../src/store/users.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { mulberry32, picker } from "../support/random.ts"

// Share links that are limited to a board. The server runs only the queries of its tiles for them.

// biome-ignore lint/suspicious/noExplicitAny: bodies are only compared
type Json = any

const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
const websites = ["shop", "docs", "secret"]

let app: TestApp
let admin: string
beforeAll(async () => {
  app = openApp()
  for (const id of websites) giveWebsite(id)
  admin = giveKey(app).secret
  const pick = picker(mulberry32(1))
  const events = Array.from({ length: 200 }, () => ({
    websiteId: pick.of(websites),
    name: pick.of(["visited", "trial", "bought"]),
    anonymousId: `visitor ${pick.whole(0, 20)}`,
    sessionId: `session ${pick.whole(0, 60)}`,
    timestamp: `2026-07-${String(pick.whole(1, 31)).padStart(2, "0")}T${pick.of(["01", "11", "22"])}:00:00.000Z`,
    properties: { plan: pick.of(["free", "pro"]) },
  }))
  const response = await app.send(
    new Request("http://localhost/track", {
      method: "POST",
      headers: { authorization: `Bearer ${admin}` },
      body: JSON.stringify(events),
    }),
  )
  expect(response.status).toBe(200)
})
afterAll(() => app.close())

function giveWebsite(id: string): void {
  const settings = { domain: `${id}.example`, name: `The ${id}`, allowedOrigins: [] }
  createWebsite(app.store.db, id, { ...settings, anonymize: "off" }, app.clock.now)
  app.store.registry.refresh()
}

async function send(method: string, path: string, body: unknown, headers: Record<string, string>) {
  const text = body === undefined ? null : JSON.stringify(body)
  const response = await app.send(new Request(`http://localhost/v1/${path}`, { method, headers, body: text }))
  const reason = response.headers.get("x-databuddy-reason")
  return { status: response.status, reason, body: (await response.json().catch(() => ({}))) as Json }
}

const bearer = (key: string) => ({ Authorization: `Bearer ${key}` })
const shown = (link: string) => ({ "x-databuddy-share": link.slice("/share/".length) })
const call = (method: string, path: string, body?: unknown) => send(method, path, body, bearer(admin))

const compared = { compare: "previous_period" }
const overTime = { granularity: "daily" }
const events = { column: "total_events", label: "Events", format: "count" }
const table = {
  kind: "table",
  title: "Plans",
  query: { parameters: [{ name: "events", by: ["property.plan"], measures: ["events"], ...compared }] },
  columns: [{ column: "events", label: "Events", format: "count" }],
}
/** One tile of each kind. */
const tiles = [
  {
    kind: "number",
    title: "Events",
    query: {
      parameters: [
        { name: "custom_events_summary", ...compared },
        { name: "custom_events_trends", ...overTime },
      ],
      filters: [{ field: "property.plan", op: "eq", value: "pro" }],
    },
    measure: events,
  },
  {
    kind: "chart",
    title: "Over time",
    query: {
      parameters: [
        {
          name: "custom_events_trends",
          filters: [{ field: "event_name", op: "eq", value: "bought" }],
          ...overTime,
          ...compared,
        },
      ],
    },
    measure: events,
    display: "lines",
    path: "overview",
  },
  table,
  {
    kind: "funnel",
    title: "Trials",
    query: { parameters: [{ name: "funnel", steps: ["visited", { name: "bought" }], window: "14d" }] },
  },
  {
    kind: "retention",
    title: "Returns",
    query: { parameters: [{ name: "retention", granularity: "weekly" }] },
  },
]

async function createBoard(website: string, boardTiles: readonly object[] = tiles): Promise<Json> {
  const { status, body } = await call("POST", `boards?website_id=${website}`, {
    name: "Growth",
    tiles: boardTiles,
  })
  expect([status, body.error]).toEqual([201, undefined])
  return body.board
}

const linkBody = (boardId: string) => ({
  name: "Wall",
  path: `boards?id=${boardId}&period=last_7d`,
  boardId,
  expiresAt: null,
})

async function shareBoard(board: Json, headers: Record<string, string> = bearer(admin), more: object = {}) {
  const { status, body } = await send(
    "POST",
    `shares?website_id=${board.websiteId ?? "all"}`,
    { ...linkBody(board.id), ...more },
    headers,
  )
  expect([status, body.error]).toEqual([201, undefined])
  return { link: body.link as string, share: body.share, headers: shown(body.link) }
}

const withoutTimes = ({ data }: Json) =>
  data.map(({ meta: { ms, source, rows_read, block_events, ...meta }, ...entry }: Json) => ({
    ...entry,
    meta,
  }))

describe("a share link to a board", () => {
  test("names its board, and opens no other page", async () => {
    const board = await createBoard("shop")
    const { share, headers } = await shareBoard(board)
    expect(share).toMatchObject({
      websiteId: "shop",
      page: "boards",
      boardId: board.id,
      boardName: "Growth",
      isActive: true,
    })
    expect((await send("GET", "me", undefined, headers)).body.share).toMatchObject({
      websiteId: "shop",
      page: "boards",
      boardId: board.id,
    })
    expect((await send("GET", `boards/${board.id}`, undefined, headers)).body.board).toEqual({
      ...board,
      tiles: board.tiles.map(({ path, ...tile }: Json) => tile),
    })
    const list = (await call("GET", "shares?website_id=shop")).body.shares
    expect(list.find(({ id }: Json) => id === share.id).boardName).toBe("Growth")
  })

  const week = { startDate: "2026-07-06", endDate: "2026-07-12" }
  const views: [string, { range: object; granularity?: string; compare?: unknown }][] = [
    ["a week by hour", { range: week, granularity: "hourly" }],
    ["a month by week, compared", { range: { preset: "last_30d" }, granularity: "weekly", ...compared }],
    [
      "a week in Auckland, compared with a chosen week",
      {
        range: { ...week, timeZone: "Pacific/Auckland" },
        compare: { startDate: "2026-07-13", endDate: "2026-07-19" },
      },
    ],
  ]
  const places = ["shop", "all"]
  test.each(places.flatMap((place) => views.map(([name, view]) => [place, name, view] as const)))(
    "of %s returns the same results for %s as the owner's queries",
    async (place, _, { range, granularity, compare }) => {
      const board = await createBoard(place)
      const { headers } = await shareBoard(board)
      let rows = 0
      for (const tile of board.tiles) {
        const { kind, query } = tile
        const periods = kind === "retention" ? undefined : granularity
        const body = { tile: tile.id, ...range, compare, ...(periods ? { granularity: periods } : {}) }
        const answer = await send("POST", `boards/${board.id}/query`, body, headers)
        expect([tile.title, answer.status, answer.body.error]).toEqual([tile.title, 200, undefined])
        const parameters = query.parameters.map(
          ({ compare: isCompared, granularity: own, ...parameter }: Json, index: number) => ({
            ...parameter,
            id: String(index),
            ...(own ? { granularity: periods ?? own } : {}),
            ...(isCompared && compare ? { compare } : {}),
          }),
        )
        const own = await call("POST", `query?website_id=${place}`, { ...query, ...range, parameters })
        expect(withoutTimes(answer.body)).toEqual(withoutTimes(own.body))
        expect(withoutTimes((await call("POST", `boards/${board.id}/query`, body)).body)).toEqual(
          withoutTimes(own.body),
        )
        rows += answer.body.data.flatMap(({ data }: Json) => data).length
      }
      expect(rows).toBeGreaterThan(10)
    },
  )

  test("uses the default range and the tile's granularity if the request sets neither", async () => {
    const board = await createBoard("shop")
    const { headers } = await shareBoard(board)
    const chart = board.tiles.find(({ kind }: Json) => kind === "chart")
    const { body } = await send("POST", `boards/${board.id}/query`, { tile: chart.id }, headers)
    expect(body.data[0].data).toHaveLength(30)
    expect(body.data[0].data[0].previous).toBeUndefined()
  })

  test("is subject to the limits of share links", async () => {
    const board = await createBoard("shop", [tiles[0] as object])
    const { headers } = await shareBoard(board)
    const body = {
      tile: board.tiles[0].id,
      startDate: "2020-01-01",
      endDate: "2026-07-31",
      granularity: "hourly",
    }
    const { data } = (await send("POST", `boards/${board.id}/query`, body, headers)).body
    expect(data.map(({ success }: Json) => success)).toEqual([true, false])
    expect(data[1].error).toContain("would exceed the 100000 values")
  })
})

describe("a share link to a board gives access to nothing else:", () => {
  let board: Json
  let foreign: Json
  let headers: Record<string, string>
  beforeAll(async () => {
    board = await createBoard("shop")
    foreign = await createBoard("docs")
    headers = (await shareBoard(board)).headers
  })

  const changes: [string, object][] = [
    ["filters", { filters: [] }],
    ["parameters", { parameters: ["custom_events"] }],
    ["events by name", { name: "trial" }],
    ["another website", { website_id: "docs" }],
    ["another website, as in a tile", { websiteId: "docs" }],
    ["another breakdown", { by: ["country"] }],
    ["other steps", { steps: ["trial"] }],
    ["other measures", { measures: ["users"] }],
    ["more rows", { limit: 10_000 }],
    ["another page of rows", { page: 2 }],
    ["another order", { sortBy: "name" }],
    ["other kinds of events", { kinds: ["page_view"] }],
    ["crawlers", { crawlers: true }],
    ["one visitor", { anonymousId: "visitor 1" }],
    ["the people behind a number", { reached: 1 }],
    ["a custom query", { query: table.query }],
  ]
  test.each(changes)("a tile's query cannot be changed: %s", async (_, change) => {
    const [field] = Object.keys(change)
    const body = { tile: board.tiles[0].id, preset: "last_30d", ...change }
    for (const sent of [headers, bearer(admin)]) {
      const answer = await send("POST", `boards/${board.id}/query`, body, sent)
      expect([answer.status, answer.body.errors]).toEqual([
        400,
        [{ field: field as string, message: "is not a field of this request" }],
      ])
    }
  })

  const compares = [{ name: "x" }, "nothing", { startDate: "2026-07-01", endDate: "2026-07-02", filters: [] }]
  test.each(compares)("a comparison must be a period: %j is rejected", async (compare) => {
    const body = { tile: board.tiles[0].id, compare }
    expect((await send("POST", `boards/${board.id}/query`, body, headers)).status).toBe(400)
  })

  test("the query string changes nothing", async () => {
    const body = { tile: board.tiles[2].id, preset: "last_30d" }
    const plain = await send("POST", `boards/${board.id}/query`, body, headers)
    const changed = await send(
      "POST",
      `boards/${board.id}/query?website_id=secret&timezone=Asia/Tokyo&filters=x`,
      body,
      headers,
    )
    expect(withoutTimes(changed.body)).toEqual(withoutTimes(plain.body))
  })

  const bodies: [string, () => unknown, string][] = [
    ["a tile of another board", () => ({ tile: foreign.tiles[0].id }), "tile"],
    ["a tile that does not exist", () => ({ tile: "x" }), "tile"],
    ["no tile", () => ({}), "tile"],
    ["several tiles", () => [{ tile: board.tiles[0].id }], ""],
  ]
  test.each(bodies)("a request with %s is rejected", async (_, body, field) => {
    const answer = await send("POST", `boards/${board.id}/query`, body(), headers)
    expect([answer.status, answer.body.errors[0].field]).toEqual([400, field])
  })

  test("no other board", async () => {
    for (const id of [foreign.id, "nothing"]) {
      for (const [method, path, body] of [
        ["GET", `boards/${id}`, undefined],
        ["POST", `boards/${id}/query`, { tile: foreign.tiles[0].id }],
      ] as const) {
        const answer = await send(method, path, body, headers)
        expect([path, answer.status, answer.reason]).toEqual([path, 403, "section_missing"])
      }
    }
  })

  test.each(Object.keys(types))("no query of type %s", async (name) => {
    for (const sent of [{ parameters: [name] }, [{ parameters: [{ name, limit: 1 }] }]]) {
      const answer = await send("POST", "query?website_id=shop", sent, headers)
      expect([answer.status, answer.reason]).toEqual([403, "section_missing"])
    }
  })

  test("no other endpoint", async () => {
    const { routes } = createApp({
      settings: { ingestPath: "", basePath: "" },
      scriptName: "databuddy.js",
    } as AppDeps)
    /** Expected statuses of requests in which only the id is valid. All other endpoints respond with 403. */
    const allowed: Record<string, number> = {
      "GET /v1/me": 200,
      "GET /v1/query/types": 200,
      "GET /v1/query/websites": 200,
      "GET /v1/boards/:id": 200,
      // Rejected only because the requests have no body and no website.
      "POST /v1/boards/:id/query": 400,
      "GET /v1/notes": 400,
      // These need no credential.
      "POST /v1/login": 403,
      "POST /v1/logout": 403,
      "GET /v1/invites/:token": 404,
      "POST /v1/invites/:token": 403,
      // Needs the cookie of a user.
      "POST /v1/me/password": 401,
      // Exists only with --registry-secret-file.
      "GET /v1/registry": 404,
      // The test above checks that each type of query is rejected.
      "POST /v1/query": 400,
    }
    const answers: [string, number][] = []
    const expected: [string, number][] = []
    for (const { method, path } of routes.filter((route) => route.path.startsWith("/v1/"))) {
      const target = path.slice("/v1/".length).replace(":id", board.id).replace(":token", "x")
      const answer = await send(method, target, undefined, headers)
      answers.push([`${method} ${path}`, answer.status])
      expected.push([`${method} ${path}`, allowed[`${method} ${path}`] ?? 403])
    }
    expect(answers).toEqual(expected)
    expect(answers.length).toBeGreaterThan(Object.keys(allowed).length + 20)
  })

  test("no annotations or names of other websites", async () => {
    for (const place of [...websites, "all"])
      await call("POST", `notes?website_id=${place}`, { date: "2026-07-05", text: place })
    const notes = await send("GET", "notes?website_id=shop", undefined, headers)
    expect(notes.body.notes.map(({ text }: Json) => text).sort()).toEqual(["all", "shop"])
    for (const place of ["docs", "none"])
      expect((await send("GET", `notes?website_id=${place}`, undefined, headers)).status).toBe(403)
    const { websites: named } = (await send("GET", "query/websites", undefined, headers)).body
    expect(named.map(({ id }: Json) => id)).toEqual(["shop"])
  })

  test.each([null, ...reportPages])("a link whose page is %p cannot read the board", async (page) => {
    const body = { name: "x", path: page ?? "web", page, expiresAt: null }
    const { link } = (await call("POST", "shares?website_id=shop", body)).body
    for (const [method, path, sent] of [
      ["GET", `boards/${board.id}`, undefined],
      ["POST", `boards/${board.id}/query`, { tile: board.tiles[0].id }],
    ] as const) {
      const answer = await send(method, path, sent, shown(link))
      expect([answer.status, answer.reason]).toEqual([
        403,
        page === null ? "scope_missing" : "section_missing",
      ])
    }
  })
})

test("a key without read:data, or for another website, cannot run the tiles", async () => {
  const board = await createBoard("shop")
  const body = { tile: board.tiles[0].id }
  const grants: [Partial<KeyGrant>, string][] = [
    [{ scopes: ["read:reports"] }, "scope_missing"],
    [{ websites: ["docs"] }, "key_website_mismatch"],
  ]
  for (const [grant, reason] of grants) {
    const answer = await send("POST", `boards/${board.id}/query`, body, bearer(giveKey(app, grant).secret))
    expect([answer.status, answer.reason]).toEqual([403, reason])
  }
})

describe("tiles that use the ids of people", () => {
  const parameter = { name: "events", by: ["event_name"], measures: ["events"] }
  const hidden: [string, object][] = [
    [
      "a filter on a visitor",
      { ...parameter, filters: [{ field: "anonymous_id", op: "eq", value: "visitor 1" }] },
    ],
    [
      "a filter on a session",
      { ...parameter, filters: [{ field: "session_id", op: "exists", value: true }] },
    ],
    ["the events of a profile", { ...parameter, profileId: "p" }],
    ["a breakdown by visitor", { ...parameter, by: ["anonymous_id"] }],
  ]
  test.each(hidden)("are left out: %s", async (_, own) => {
    const secret = { ...table, id: "hidden", query: { parameters: [own] } }
    const filters = [{ field: "profile_id", op: "eq", value: "ada" }]
    const filtered = { ...table, id: "filtered", query: { ...table.query, filters } }
    const board = await createBoard("shop", [table, secret, filtered])
    const { headers } = await shareBoard(board)
    const { body } = await send("GET", `boards/${board.id}`, undefined, headers)
    expect(body.board.tiles).toEqual([
      board.tiles.find(({ id }: Json) => !["hidden", "filtered"].includes(id)),
    ])
    for (const tile of ["hidden", "filtered"]) {
      const answer = await send("POST", `boards/${board.id}/query`, { tile }, headers)
      expect([answer.status, answer.body.errors]).toEqual([
        400,
        [{ field: "tile", message: "must be the ID of a tile on the board" }],
      ])
      expect((await call("POST", `boards/${board.id}/query`, { tile })).status).toBe(200)
    }
  })
})

describe("a share link to a board of all websites", () => {
  const of = (websiteId: string | undefined, more: object = {}) => ({
    ...table,
    id: websiteId ?? "all",
    ...(websiteId === undefined ? {} : { websiteId }),
    ...more,
  })

  test("runs each tile for the tile's website, and names no other websites", async () => {
    const board = await createBoard("all", [of("shop"), of("docs"), of("none"), of(undefined)])
    const { share, headers } = await shareBoard(board)
    expect(share.websiteId).toBeNull()
    for (const place of ["shop", "docs", "none", "all"]) {
      const { body } = await send(
        "POST",
        `boards/${board.id}/query`,
        { tile: place, preset: "last_60d" },
        headers,
      )
      const parameters = [{ ...table.query.parameters[0], compare: undefined, id: "0" }]
      const own = await call("POST", `query?website_id=${place}`, { parameters, preset: "last_60d" })
      expect(withoutTimes(body)).toEqual(withoutTimes(own.body))
    }
    const { websites: named } = (await send("GET", "query/websites", undefined, headers)).body
    expect(named.map(({ id }: Json) => id)).toEqual(["shop", "docs"])
    for (const place of websites) {
      expect((await send("GET", `notes?website_id=${place}`, undefined, headers)).status).toBe(403)
      const query = await send("POST", `query?website_id=${place}`, { parameters: ["events"] }, headers)
      expect(query.reason).toBe("key_website_mismatch")
    }
    expect((await send("GET", "notes?website_id=all", undefined, headers)).status).toBe(200)
  })

  test("names all websites if a tile has a breakdown by website", async () => {
    const query = { parameters: [{ name: "events", by: ["website_id"], measures: ["events"] }] }
    const board = await createBoard("all", [of(undefined, { query })])
    const { headers } = await shareBoard(board)
    const { websites: named } = (await send("GET", "query/websites", undefined, headers)).body
    expect(named.map(({ id }: Json) => id)).toEqual(expect.arrayContaining(websites))
  })

  test("can be created, listed and changed only with access to all websites", async () => {
    const board = await createBoard("all", [of("shop")])
    const limited = bearer(giveKey(app, { websites: ["shop"] }).secret)
    const refused = await send("POST", "shares?website_id=all", linkBody(board.id), limited)
    expect([refused.status, refused.reason]).toEqual([403, "key_website_mismatch"])
    const { share } = await shareBoard(board)
    const listed = async (headers: Record<string, string>) =>
      (await send("GET", "shares", undefined, headers)).body.shares.some(({ id }: Json) => id === share.id)
    expect([await listed(bearer(admin)), await listed(limited)]).toEqual([true, false])
    for (const [method, path] of [
      ["PATCH", `shares/${share.id}`],
      ["POST", `shares/${share.id}/rotate`],
      ["DELETE", `shares/${share.id}/overlap`],
      ["DELETE", `shares/${share.id}`],
    ] as const) {
      const answer = await send(method, path, method === "DELETE" ? undefined : {}, limited)
      expect([path, answer.reason]).toEqual([path, "key_website_mismatch"])
    }
  })
})

describe("a key that shares a board", () => {
  const grants: [string, Partial<KeyGrant>, string | undefined][] = [
    ["needs read:data", { scopes: ["manage:users", "read:reports"] }, "grant_too_wide"],
    ["needs manage:users", { scopes: ["read:data", "manage:websites"] }, "scope_missing"],
    ["needs access to the board's website", { websites: ["docs"] }, "key_website_mismatch"],
    [
      "cannot share it for longer than the key is valid",
      { expiresAt: Date.UTC(2030, 0, 1) },
      "grant_too_wide",
    ],
    ["needs nothing else", { scopes: ["read:data", "manage:users"], websites: ["shop"] }, undefined],
  ]
  test.each(grants)("%s", async (_, grant, reason) => {
    const board = await createBoard("shop")
    const key = bearer(giveKey(app, grant).secret)
    const answer = await send("POST", "shares?website_id=shop", linkBody(board.id), key)
    expect([answer.status, answer.reason ?? undefined]).toEqual([reason ? 403 : 201, reason])
    if (!reason)
      expect((await send("GET", `boards/${board.id}`, undefined, shown(answer.body.link))).status).toBe(200)
  })

  const wrong: [string, string, (id: string) => object, number, string][] = [
    ["of another website", "docs", () => ({}), 400, "boardId must be the ID of a board of the website"],
    [
      "of one website as a board of all websites",
      "all",
      () => ({}),
      400,
      "boardId must be the ID of a board of the website",
    ],
    ["without a website", "none", () => ({}), 400, 'website_id must be a website ID, or "all"'],
    ["that does not exist", "shop", () => ({ boardId: "x" }), 404, "no board has the ID x"],
    ["with a page", "shop", () => ({ page: "web" }), 400, "page must be null or absent if boardId is set"],
    [
      "with a path on another page",
      "shop",
      () => ({ path: "web" }),
      400,
      "path must be on the page boards if boardId is set",
    ],
  ]
  test.each(wrong)("cannot share a board %s", async (_, website, more, status, message) => {
    const { id } = await createBoard("shop")
    const answer = await call("POST", `shares?website_id=${website}`, { ...linkBody(id), ...more(id) })
    expect([answer.status, answer.body.error]).toEqual([status, expect.stringContaining(message)])
  })
})

describe("the link of a shared board", () => {
  const file = { type: "text/html;charset=utf-8", plain: new Uint8Array(), gzipped: new Uint8Array() }
  /** The status of a page, and the hosts that can embed it. */
  const open = (path: string) => {
    const deps = { db: app.store.db, registry: app.store.registry, now: () => app.clock.now }
    const { status, headers } = pageResponse(deps, new Request(`http://localhost${path}`), file)
    return [status, /frame-ancestors ([^;]*)$/.exec(headers.get("content-security-policy") ?? "")?.[1]]
  }
  const embed = (link: string, page = "") => open(`${link.replace("/share/", "/embed/")}${page}`)

  test("shows changes to the board's name, tiles and queries", async () => {
    const board = await createBoard("shop", [table])
    const { headers } = await shareBoard(board)
    const [tile] = board.tiles
    const count = async () => {
      const { body } = await send(
        "POST",
        `boards/${board.id}/query`,
        { tile: tile.id, preset: "last_60d" },
        headers,
      )
      return body.data?.[0].data.length ?? body.errors[0].field
    }
    expect(await count()).toBe(2)
    const query = { ...table.query, filters: [{ field: "property.plan", op: "eq", value: "pro" }] }
    await call("PATCH", `boards/${board.id}`, { name: "Plans", tiles: [{ ...tile, query }] })
    expect(await count()).toBe(1)
    const changed = (await send("GET", `boards/${board.id}`, undefined, headers)).body.board
    expect([changed.name, changed.tiles[0].query]).toEqual(["Plans", query])
    const { shares } = (await call("GET", "shares?website_id=shop")).body
    expect(shares.find((share: Json) => share.boardId === board.id).boardName).toBe("Plans")
    await call("PATCH", `boards/${board.id}`, { tiles: [] })
    expect(await count()).toBe("tile")
  })

  test("can be embedded by the link's hosts, and only as the board", async () => {
    const board = await createBoard("shop")
    const { link, share } = await shareBoard(board, undefined, { embedHosts: ["https://a.example"] })
    expect(embed(link)).toEqual([200, "https://a.example"])
    expect(embed(link, "/boards?mode=wallboard&theme=dark")).toEqual([200, "https://a.example"])
    expect(open(link)).toEqual([200, "'none'"])
    for (const page of [...reportPages, "people", "live"])
      expect(embed(link, `/${page}`)).toEqual([403, "https://a.example"])
    await call("PATCH", `shares/${share.id}`, { embedHosts: [] })
    expect(embed(link)).toEqual([200, "'none'"])
    const whole = { name: "x", path: "web", expiresAt: null }
    const reports = (await call("POST", "shares?website_id=shop", whole)).body.link
    expect(embed(reports, `/boards?id=${board.id}`)).toEqual([403, "'none'"])
  })

  test("has two tokens after a rotation until the overlap ends", async () => {
    const board = await createBoard("shop")
    const { link, share } = await shareBoard(board)
    const works = async (...links: string[]) =>
      Promise.all(
        links.map(async (one) => (await send("GET", `boards/${board.id}`, undefined, shown(one))).status),
      )
    const rotated = (await call("POST", `shares/${share.id}/rotate`, { overlap: "1h" })).body
    expect(rotated.share).toMatchObject({ boardId: board.id, boardName: "Growth" })
    expect(await works(link, rotated.link)).toEqual([200, 200])
    await call("DELETE", `shares/${share.id}/overlap`)
    expect(await works(link, rotated.link)).toEqual([401, 200])
    const reader = bearer(giveKey(app, { scopes: ["manage:users", "read:reports"] }).secret)
    expect((await send("POST", `shares/${share.id}/rotate`, {}, reader)).reason).toBe("grant_too_wide")
  })

  /** Expects that a link has ended, both for requests and for its page. */
  async function expectEnded(link: string, boardId: string): Promise<void> {
    for (const [method, path, body] of [
      ["GET", `boards/${boardId}`, undefined],
      ["POST", `boards/${boardId}/query`, { tile: "x" }],
      ["GET", "query/websites", undefined],
    ] as const) {
      const answer = await send(method, path, body, shown(link))
      expect([path, answer.status, answer.reason]).toEqual([path, 401, "share_ended"])
    }
    expect((await send("GET", "me", undefined, shown(link))).body.share).toBeNull()
    expect([open(link), embed(link)]).toEqual([
      [404, "'none'"],
      [404, "'none'"],
    ])
  }

  test("ends when the board or its website is deleted", async () => {
    giveWebsite("gone")
    for (const [place, end] of [
      ["shop", (id: string) => call("DELETE", `boards/${id}`)],
      ["all", (id: string) => call("DELETE", `boards/${id}`)],
      ["gone", () => call("DELETE", "websites/gone")],
    ] as const) {
      const board = await createBoard(place)
      const { link, share } = await shareBoard(board, undefined, { embedHosts: ["https://a.example"] })
      expect((await end(board.id)).status).toBe(200)
      await expectEnded(link, board.id)
      const { shares } = (await call("GET", "shares")).body
      expect(shares.map(({ id }: Json) => id)).not.toContain(share.id)
    }
  })

  test("loses the tiles of a deleted website", async () => {
    giveWebsite("closed")
    const board = await createBoard("all", [
      { ...table, websiteId: "closed" },
      { ...table, websiteId: "shop" },
    ])
    const { headers } = await shareBoard(board)
    await call("DELETE", "websites/closed")
    const { tiles: left } = (await send("GET", `boards/${board.id}`, undefined, headers)).body.board
    expect(left.map(({ websiteId }: Json) => websiteId)).toEqual(["shop"])
  })

  type Change = (keyId: string) => Promise<unknown>
  const patch =
    (body: object): Change =>
    (id) =>
      call("PATCH", `keys/${id}`, body)
  const losses: [string, Change, Change | undefined][] = [
    ["is disabled", patch({ disabled: true }), patch({ disabled: false })],
    [
      "loses read:data",
      patch({ scopes: ["manage:users"] }),
      patch({ scopes: ["manage:users", "read:data"] }),
    ],
    [
      "loses manage:users",
      patch({ scopes: ["read:data"] }),
      patch({ scopes: ["manage:users", "read:data"] }),
    ],
    ["loses the website", patch({ websites: ["docs"] }), patch({ websites: ["docs", "shop"] })],
    ["will expire before the link", patch({ expiresAt: "2030-01-01" }), patch({ expiresAt: null })],
    ["is revoked", (id) => call("DELETE", `keys/${id}`), undefined],
  ]
  test.each(losses)("ends if the key that shared it %s", async (_, lose, regain) => {
    const board = await createBoard("shop")
    const key = giveKey(app)
    const { link, share } = await shareBoard(board, bearer(key.secret))
    const isActive = async () =>
      (await call("GET", "shares")).body.shares.find(({ id }: Json) => id === share.id).isActive
    await lose(key.id)
    app.store.registry.refresh()
    await expectEnded(link, board.id)
    expect(await isActive()).toBe(false)
    if (!regain) return
    await regain(key.id)
    expect((await send("GET", `boards/${board.id}`, undefined, shown(link))).status).toBe(200)
    expect(await isActive()).toBe(true)
  })

  const demotions: [string, (db: TestApp["store"]["db"], id: string) => unknown][] = [
    ["becomes a viewer", (db, id) => updateUser(db, id, { role: "viewer", websites: null, sections: null })],
    ["is deleted", (db, id) => deleteUser(db, id)],
  ]
  test.each(demotions)(
    "ends if the owner who shared it %s, unlike the other links of that owner",
    async (what, demote) => {
      const { db } = app.store
      const email = `${what.replaceAll(" ", ".")}@example.com`
      createUser(db, email, { email, role: "owner", websites: null, sections: null }, null, app.clock.now)
      const cookie = `databuddy_session=${createLoginSession(db, email, random, app.clock.now)}`
      const headers = { cookie, "x-databuddy-page": "1" }
      const board = await createBoard("all")
      const { link } = await shareBoard(board, headers)
      const body = { name: "x", path: "web", expiresAt: null }
      const reports = (await send("POST", "shares?website_id=shop", body, headers)).body.link
      expect((await send("GET", `boards/${board.id}`, undefined, shown(link))).status).toBe(200)
      demote(db, email)
      await expectEnded(link, board.id)
      expect((await send("GET", "query/websites", undefined, shown(reports))).status).toBe(200)
    },
  )
})
