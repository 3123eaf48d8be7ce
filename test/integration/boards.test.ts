import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { overlaps } from "../../src/boards/layout.ts"
import { maxTiles } from "../../src/boards/schema.ts"
import { createBoard, maxBoards } from "../../src/store/boards.ts"
import { type KeyGrant, scopes } from "../../src/store/keys.ts"
import { createLoginSession } from "../../src/store/login-sessions.ts"
import { createShare } from "../../src/store/shares.ts"
import { createUser } from "../../src/store/users.ts"
import { createWebsite, findWebsite } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"

// biome-ignore lint/suspicious/noExplicitAny: bodies are only compared
type Json = any

const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
const uuid = "550E8400-E29B-41D4-A716-446655440000"

let app: TestApp
let admin: string

beforeEach(() => {
  app = openApp()
  for (const id of ["mine", "theirs", uuid]) {
    const settings = { domain: "shop.example", name: id, allowedOrigins: [], anonymize: "off" as const }
    createWebsite(app.store.db, id, settings, app.clock.now)
  }
  admin = giveKey(app).secret
})

afterEach(() => app.close())

async function call(method: string, path: string, body?: unknown, key = admin) {
  return send(method, path, body, { Authorization: `Bearer ${key}` })
}

async function send(method: string, path: string, body: unknown, headers: Record<string, string>) {
  const text = body === undefined ? null : JSON.stringify(body)
  const response = await app.send(new Request(`http://localhost/v1/${path}`, { method, headers, body: text }))
  const reason = response.headers.get("x-databuddy-reason")
  return { status: response.status, reason, body: (await response.json()) as Json }
}

/** A valid tile of each kind. */
const tiles = {
  number: {
    kind: "number",
    title: "Events",
    query: {
      parameters: [
        { name: "custom_events_summary", compare: "previous_period" },
        { name: "custom_events_trends", granularity: "daily" },
      ],
    },
    measure: { column: "total_events", label: "Events", format: "count" },
  },
  chart: {
    kind: "chart",
    title: "Visitors over time",
    query: {
      parameters: [{ name: "custom_events_trends", granularity: "daily", compare: "previous_period" }],
      filters: [{ field: "property.plan", op: "eq", value: "pro" }],
    },
    measure: { column: "unique_users", label: "Visitors", format: "count" },
    display: "lines",
    path: "overview?show=visitors",
  },
  table: {
    kind: "table",
    title: "Top events",
    query: { parameters: [{ name: "custom_events", limit: 10 }] },
    columns: [
      { column: "name", label: "Event", format: "text" },
      { column: "total_events", label: "Events", format: "count" },
    ],
  },
  funnel: {
    kind: "funnel",
    title: "Sign-up",
    query: { parameters: [{ name: "funnel", steps: ["a", { name: "b" }], window: "7d" }] },
  },
  retention: {
    kind: "retention",
    title: "Retention",
    query: { parameters: [{ name: "retention", granularity: "weekly" }] },
    show: "people",
  },
}

/** Creates a board and returns it. */
async function created(website: string, more: object = {}): Promise<Json> {
  const { status, body } = await call("POST", `boards?website_id=${website}`, { name: "Growth", ...more })
  expect([status, body.error]).toEqual([201, undefined])
  return body.board
}

describe("a board", () => {
  test("can have a tile of each kind, each with its own id and position", async () => {
    const board = await created("mine", { tiles: Object.values(tiles) })
    expect(board).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      websiteId: "mine",
      name: "Growth",
      revision: 1,
      createdAt: "2026-08-01T12:00:00.000Z",
      updatedAt: "2026-08-01T12:00:00.000Z",
      tiles: [
        { ...tiles.number, x: 0, y: 0, width: 3, height: 2 },
        { ...tiles.chart, x: 3, y: 0, width: 6, height: 4 },
        { ...tiles.table, x: 0, y: 4, width: 6, height: 5 },
        { ...tiles.funnel, x: 6, y: 4, width: 6, height: 5 },
        { ...tiles.retention, x: 0, y: 9, width: 12, height: 5 },
      ].map((tile) => ({ ...tile, id: expect.stringMatching(/^[0-9a-f-]{36}$/) })),
    })
    expect((await call("GET", `boards/${board.id}`)).body).toEqual({ success: true, board })
  })

  test("is listed by name for its website, with the number of its tiles", async () => {
    const [b, a] = [
      await created("mine", { name: "beta", tiles: [tiles.number, tiles.table] }),
      await created("mine", { name: "Alpha" }),
    ]
    for (const place of ["theirs", "none", "all"]) await created(place, { name: place })
    expect((await call("GET", "boards?website_id=mine")).body).toEqual({
      success: true,
      boards: [
        { ...a, tiles: 0 },
        { ...b, tiles: 2 },
      ],
      total: 2,
    })
    for (const [place, id] of [
      ["none", "none"],
      ["all", null],
    ]) {
      const { boards } = (await call("GET", `boards?website_id=${place}`)).body
      expect(boards.map((one: Json) => [one.name, one.websiteId])).toEqual([[place, id]])
    }
  })

  test("accepts more tiles, each in the first free position", async () => {
    const { id } = await created("mine", { tiles: [tiles.number] })
    app.clock.now += 1_000
    const { status, body } = await call("POST", `boards/${id}/tiles`, { ...tiles.number, title: "Second" })
    expect(status).toBe(201)
    expect(body.board).toMatchObject({ revision: 2, updatedAt: "2026-08-01T12:00:01.000Z" })
    expect(body.board.tiles.map(({ title, x, y }: Json) => [title, x, y])).toEqual([
      ["Events", 0, 0],
      ["Second", 3, 0],
    ])
  })

  test("moves tiles that overlap, and keeps their ids", async () => {
    const place = { x: 4, y: 3, width: 4, height: 2 }
    const board = await created("mine", {
      tiles: ["a", "b", "c"].map((id) => ({ ...tiles.number, ...place, id })),
    })
    expect(board.tiles.map(({ id, x, y }: Json) => [id, x, y])).toEqual([
      ["a", 4, 0],
      ["b", 4, 2],
      ["c", 4, 4],
    ])
    const moved = board.tiles.map((tile: Json) => ({ ...tile, x: tile.id === "a" ? 0 : 1 }))
    const { body } = await call("PATCH", `boards/${board.id}`, { tiles: moved })
    for (const one of body.board.tiles) {
      expect(body.board.tiles.filter((other: Json) => overlaps(one, other))).toEqual([one])
    }
  })

  test("changes the given fields and nothing else", async () => {
    const board = await created("mine", { tiles: [tiles.number] })
    const renamed = await call("PATCH", `boards/${board.id}`, { name: "New" })
    expect(renamed.body.board).toEqual({ ...board, name: "New", revision: 2 })
    const emptied = await call("PATCH", `boards/${board.id}`, { tiles: [], revision: 2 })
    expect(emptied.body.board).toEqual({ ...board, name: "New", tiles: [], revision: 3 })
  })

  test("rejects a change that is based on an earlier revision", async () => {
    const { id } = await created("mine")
    await call("POST", `boards/${id}/tiles`, tiles.number)
    const late = await call("PATCH", `boards/${id}`, { tiles: [], revision: 1 })
    expect([late.status, late.reason]).toEqual([409, "conflict"])
    expect(late.body.error).toContain("the board has changed since revision 1")
    expect((await call("GET", `boards/${id}`)).body.board.tiles).toHaveLength(1)
  })

  test("that does not exist or was deleted is not found", async () => {
    const { id } = await created("mine")
    expect((await call("DELETE", `boards/${id}`)).body).toEqual({ success: true })
    for (const answer of [
      await call("GET", `boards/${id}`),
      await call("PATCH", `boards/${id}`, {}),
      await call("POST", `boards/${id}/tiles`, tiles.number),
      await call("DELETE", `boards/${id}`),
    ]) {
      expect([answer.status, answer.reason]).toEqual([404, "board_unknown"])
    }
  })

  test("has queries that the query API accepts as they are", async () => {
    const { tiles: stored } = await created("mine", { tiles: Object.values(tiles) })
    for (const { query } of stored) {
      const answer = await call("POST", "query?website_id=mine", { ...query, preset: "last_7d" })
      expect(answer.body.data.map((one: Json) => [one.success, one.error])).toEqual(
        query.parameters.map(() => [true, undefined]),
      )
    }
  })
})

describe("a tile is rejected, with the field named:", () => {
  const { number, chart, table, funnel, retention } = tiles
  const [parameter] = chart.query.parameters
  const wrong: [string, unknown, string, string][] = [
    ["one that is not an object", 1, "kind", "must be one of number, chart, table, funnel, retention"],
    ["one of an unknown kind", { ...number, kind: "map" }, "kind", "must be one of number, chart"],
    ["one without a title", { ...number, title: "" }, "title", "must be a string of 1 to 256"],
    ["one with half a surrogate pair", { ...number, title: "\ud800" }, "title", "must be a string of 1"],
    ["one with an unknown field", { ...number, color: "red" }, "color", "is not a field of this request"],
    ["one with a field of another kind", { ...number, display: "bars" }, "display", "is not a field"],
    ["one without a measure", { ...number, measure: undefined }, "measure", "is required"],
    ["one beyond the last column", { ...number, x: 10 }, "width", "must end within the 12 columns"],
    ["one that is too wide for its position", { ...number, x: 8, width: 5 }, "width", "must end within"],
    ["one that is too small", { ...number, width: 1 }, "width", "must be a whole number from 2 to 12"],
    ["one that is too tall", { ...number, height: 13 }, "height", "must be a whole number from 2 to 12"],
    ["one that links elsewhere", { ...chart, path: "../x" }, "path", "must be a dashboard page"],
    ["one that links elsewhere, escaped", { ...chart, path: "%2e%2e/x" }, "path", "must be a dashboard page"],
    ["one of a website on the board of another", { ...chart, websiteId: "theirs" }, "websiteId", "is only"],
    ["one without a query", { ...chart, query: { parameters: [] } }, "query.parameters", "must be a list of"],
    [
      "one with its own range",
      { ...chart, query: { parameters: [{ ...parameter, preset: "today" }] } },
      "query.parameters.0.preset",
      "is not a field of this request",
    ],
    [
      "one of an unknown type",
      { ...table, query: { parameters: [{ name: "nothing" }] } },
      "query.parameters.0",
      "is not valid",
    ],
    [
      "one with an option that its type does not accept",
      { ...table, query: { parameters: [{ name: "custom_events", window: "7d" }] } },
      "query.parameters.0",
      "is not valid",
    ],
    [
      "one with an invalid filter",
      {
        ...chart,
        query: { ...chart.query, filters: [{ field: "path", op: "gt", value: "x" }] },
      },
      "query.filters.0.value",
      "must be",
    ],
    [
      "one that lists people",
      { ...table, query: { parameters: [{ name: "people" }] } },
      "query.parameters.0.name",
      "must not be a type that returns individual events or people",
    ],
    [
      "a chart without dates",
      { ...chart, query: { parameters: [{ name: "custom_events_summary" }] } },
      "query.parameters.0.granularity",
      "is required",
    ],
    [
      "a funnel tile with a query of another type",
      { ...funnel, query: retention.query },
      "query.parameters.0.name",
      "must be funnel for a funnel tile",
    ],
    [
      "one with a column that its type does not have",
      { ...number, measure: { ...number.measure, column: "nothing" } },
      "measure.column",
      "must be a column of custom_events_summary: total_events, ",
    ],
    [
      "a table with a column that its type does not have",
      { ...table, columns: [...table.columns, { column: "unique_pages", label: "Pages", format: "count" }] },
      "columns.2.column",
      "must be a column of custom_events: name, ",
    ],
    [
      "one that is too large",
      {
        ...chart,
        query: {
          ...chart.query,
          filters: Array.from({ length: 5 }, () => ({ field: "path", op: "eq", value: "x".repeat(4_000) })),
        },
      },
      "query",
      "is too large",
    ],
  ]
  test.each(wrong)("%s", async (_, tile, field, message) => {
    const board = await created("mine")
    const answers = [
      { path: ["POST", `boards/${board.id}/tiles`], body: tile, prefix: "" },
      { path: ["POST", "boards?website_id=mine"], body: { name: "x", tiles: [tile] }, prefix: "tiles.0." },
      {
        path: ["PATCH", `boards/${board.id}`],
        body: { tiles: [tiles.number, tile] },
        prefix: "tiles.1.",
      },
    ] as const
    for (const { path, body, prefix } of answers) {
      const answer = await call(...(path as [string, string]), body)
      expect([answer.status, answer.body.errors]).toEqual([
        400,
        [{ field: prefix + field, message: expect.stringContaining(message) }],
      ])
    }
    expect((await call("GET", `boards/${board.id}`)).body.board).toEqual(board)
  })

  test("one with the id of another tile", async () => {
    const message = "is the id of another tile on the board"
    const tile = { ...tiles.number, id: "a" }
    const both = await call("POST", "boards?website_id=mine", { name: "x", tiles: [tile, tile] })
    expect(both.body.errors).toEqual([{ field: "tiles.1.id", message }])
    const { id } = await created("mine", { tiles: [tile] })
    expect((await call("POST", `boards/${id}/tiles`, tile)).body.errors).toEqual([{ field: "id", message }])
  })
})

describe("a board is rejected", () => {
  const wrong: [string, object, string][] = [
    ["without a name", { name: "" }, "name"],
    ["with a terminal escape sequence in its name", { name: "\u001b[2J" }, "name"],
    ["with tiles that are not a list", { tiles: {} }, "tiles"],
    ["with an unknown field", { layout: [] }, "layout"],
  ]
  test.each(wrong)("%s", async (_, more, field) => {
    const { id } = await created("theirs")
    for (const answer of [
      await call("POST", "boards?website_id=mine", { name: "x", ...more }),
      await call("PATCH", `boards/${id}`, more),
    ]) {
      expect([answer.status, answer.body.errors.map((one: Json) => one.field)]).toEqual([400, [field]])
    }
  })

  test("with more tiles than the maximum", async () => {
    const full = Array.from({ length: maxTiles }, () => tiles.number)
    const { id } = await created("mine", { tiles: full })
    for (const answer of [
      await call("POST", "boards?website_id=mine", { name: "x", tiles: [...full, tiles.number] }),
      await call("PATCH", `boards/${id}`, { tiles: [...full, tiles.number] }),
      await call("POST", `boards/${id}/tiles`, tiles.number),
    ]) {
      expect([answer.status, answer.body.error]).toEqual([
        400,
        expect.stringContaining(`at most ${maxTiles}`),
      ])
    }
  })

  test("if its website already has the maximum number of boards", async () => {
    const { db } = app.store
    const place = findWebsite(db, "mine").rid
    for (let n = 0; n < maxBoards; n++) createBoard(db, `b${n}`, { place, name: "x", tiles: [] }, 0)
    const answer = await call("POST", "boards?website_id=mine", { name: "x" })
    expect([answer.status, answer.body.error]).toEqual([409, expect.stringContaining("delete some first")])
    await created("theirs")
  })

  const places: [string, string, number, string][] = [
    ["without a website", "", 400, "invalid_shape"],
    ["for a website that does not exist", "?website_id=nobody", 404, "website_unknown"],
  ]
  test.each(places)("%s", async (_, query, status, reason) => {
    for (const answer of [
      await call("GET", `boards${query}`),
      await call("POST", `boards${query}`, { name: "x" }),
    ]) {
      expect([answer.status, answer.reason]).toEqual([status, reason])
    }
  })
})

describe("a board for all websites", () => {
  const withWebsites = () =>
    created("all", {
      tiles: [undefined, "mine", "theirs", "none", uuid].map((websiteId) => ({
        ...tiles.number,
        title: String(websiteId),
        ...(websiteId === undefined ? {} : { websiteId }),
      })),
    })
  const titles = (board: Json) => board.tiles.map((tile: Json) => tile.title)

  test("can have tiles for single websites", async () => {
    const board = await withWebsites()
    expect(board.tiles.map((tile: Json) => tile.websiteId)).toEqual([
      undefined,
      "mine",
      "theirs",
      "none",
      uuid.toLowerCase(),
    ])
    const answer = await call("POST", `boards/${board.id}/tiles`, { ...tiles.number, websiteId: "nobody" })
    expect(answer.body.errors).toEqual([
      { field: "websiteId", message: 'must be the ID of an existing website, or "none"' },
    ])
  })

  test("shows only the tiles of websites that the caller can access", async () => {
    const { id } = await withWebsites()
    const limited = giveKey(app, { websites: ["mine"] }).secret
    const { body } = await call("GET", `boards/${id}`, undefined, limited)
    expect(titles(body.board)).toEqual(["undefined", "mine"])
    const counts = async (secret?: string) => {
      const list = await call("GET", "boards?website_id=all", undefined, ...(secret ? [secret] : []))
      return list.body.boards.map((board: Json) => board.tiles)
    }
    expect([await counts(), await counts(limited)]).toEqual([[5], [2]])
  })

  test("loses the tiles of a deleted website, and keeps all others unchanged", async () => {
    const board = await withWebsites()
    const other = await created("all", { tiles: [{ ...tiles.chart, websiteId: "theirs" }] })
    for (const id of ["mine", uuid]) expect((await call("DELETE", `websites/${id}`)).status).toBe(200)
    const left = (await call("GET", `boards/${board.id}`)).body.board
    expect(left).toEqual({
      ...board,
      revision: 3,
      tiles: board.tiles.filter(({ title }: Json) => !["mine", uuid].includes(title)),
    })
    expect((await call("GET", `boards/${other.id}`)).body.board).toEqual(other)
  })
})

test("deleting a website deletes its boards and no others", async () => {
  const ids: Record<string, string> = {}
  for (const place of ["mine", "theirs", "none", "all"]) ids[place] = (await created(place)).id
  await call("DELETE", "websites/mine")
  for (const [place, id] of Object.entries(ids)) {
    expect([place, (await call("GET", `boards/${id}`)).status]).toEqual([place, place === "mine" ? 404 : 200])
  }
})

describe("permissions:", () => {
  const requests = (id: string, website = "mine") =>
    [
      ["POST", `boards?website_id=${website}`, { name: "x" }],
      ["PATCH", `boards/${id}`, {}],
      ["POST", `boards/${id}/tiles`, tiles.number],
      ["DELETE", `boards/${id}`, undefined],
    ] as const

  test("a board cannot be read or changed without the scope", async () => {
    const { id } = await created("mine")
    for (const scope of scopes) {
      const key = giveKey(app, { scopes: [scope] }).secret
      for (const path of ["boards?website_id=mine", `boards/${id}`]) {
        const { status } = await call("GET", path, undefined, key)
        expect([scope, status]).toEqual([scope, scope === "read:data" ? 200 : 403])
      }
      if (scope === "manage:websites") continue
      for (const [method, path, body] of requests(id)) {
        const answer = await call(method, path, body, key)
        expect([scope, answer.status, answer.reason]).toEqual([scope, 403, "scope_missing"])
      }
    }
    const writer = giveKey(app, { scopes: ["manage:websites"] as KeyGrant["scopes"] }).secret
    const statuses = []
    for (const [method, path, body] of requests(id)) {
      statuses.push((await call(method, path, body, writer)).status)
    }
    expect(statuses).toEqual([201, 200, 201, 200])
  })

  test("a viewer can read the boards of their websites, but cannot change any", async () => {
    const { db } = app.store
    const user = { email: "ada@example.com", role: "viewer" as const, websites: ["mine"], sections: null }
    createUser(db, "ada", user, null, app.clock.now)
    const cookie = `databuddy_session=${createLoginSession(db, "ada", random, app.clock.now)}`
    const headers = { cookie, "x-databuddy-page": "1" }
    const [own, foreign] = [await created("mine"), await created("theirs")]
    expect((await send("GET", `boards/${own.id}`, undefined, headers)).body.board).toEqual(own)
    expect((await send("GET", `boards/${foreign.id}`, undefined, headers)).reason).toBe(
      "key_website_mismatch",
    )
    for (const [method, path, body] of requests(own.id)) {
      expect((await send(method, path, body, headers)).reason).toBe("scope_missing")
    }
  })

  test("a caller limited to a website only sees and changes its boards", async () => {
    const limited = giveKey(app, { websites: ["mine"] }).secret
    for (const place of ["theirs", "all", "none"]) {
      const { id } = await created(place)
      for (const [method, path, body] of requests(id, place)) {
        const answer = await call(method, path, body, limited)
        expect([place, path, answer.reason]).toEqual([place, path, "key_website_mismatch"])
      }
      const read = await call("GET", `boards/${id}`, undefined, limited)
      expect([place, read.status]).toEqual([place, place === "all" ? 200 : 403])
      const list = await call("GET", `boards?website_id=${place}`, undefined, limited)
      expect([place, list.status]).toEqual([place, place === "all" ? 200 : 403])
    }
    const { id } = await created("mine")
    const statuses = []
    for (const [method, path, body] of requests(id)) {
      statuses.push((await call(method, path, body, limited)).status)
    }
    expect(statuses).toEqual([201, 200, 201, 200])
  })

  test("a share link that is not limited to a board cannot read any", async () => {
    const { db } = app.store
    const { id } = await created("mine", { tiles: [tiles.number] })
    const share = { name: "x", path: `boards?id=${id}`, page: null, embedHosts: [], expiresAt: null }
    const { token } = createShare(db, "share", findWebsite(db, "mine").rid, share, random, app.clock.now)
    app.store.registry.refresh()
    for (const path of ["boards?website_id=mine", `boards/${id}`]) {
      const answer = await send("GET", path, undefined, { "x-databuddy-share": token })
      expect([answer.status, answer.reason]).toEqual([403, "scope_missing"])
    }
  })
})
