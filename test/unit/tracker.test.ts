import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test"
import { parse } from "acorn"
import { bundleScripts } from "../../src/tracker/bundle.ts"
import { isSampled, numberOption, type Options, readOptions } from "../../src/tracker/page/options.ts"
import { maskPath, matchesPattern } from "../../src/tracker/page/path-patterns.ts"
import { openStorageArea } from "../../src/tracker/page/storage-area.ts"
import { bodiesOf, createTransport, isRetryable } from "../../src/tracker/page/transport.ts"
import { createId, createIdentity } from "../../src/tracker/page/visitor-session.ts"

// The parts of the page script that need no page. test/browser/tracker.test.ts tests the whole script in Chromium.

describe("options", () => {
  const attributes: [name: string, value: string, option: string, parsed: unknown][] = [
    ["data-client-id", "0042", "clientId", "0042"],
    ["data-api-url", "https://e.example/e", "apiUrl", "https://e.example/e"],
    ["data-track-errors", "", "trackErrors", true],
    ["data-track-errors", "true", "trackErrors", true],
    ["data-enable-batching", "false", "enableBatching", false],
    ["data-batch-size", "20", "batchSize", 20],
    ["data-sampling-rate", "0.25", "samplingRate", 0.25],
    ["data-anonymize-visitor-ids", "auto", "anonymizeVisitorIds", "auto"],
    ["data-skip-patterns", '["/a/**"]', "skipPatterns", ["/a/**"]],
    ["data-mask-patterns", "/a/*", "maskPatterns", undefined],
  ]
  test.each(attributes)("%s=%p sets %s", (name, value, option, parsed) => {
    expect(readOptions(undefined, [[name, value]], [])).toEqual({ [option]: parsed } as Options)
  })

  test("the script's URL overrides its attributes, which override window.databuddyConfig", () => {
    const config = { clientId: "config", batchSize: 1, maxRetries: 1 }
    const tag = [
      ["src", "https://e.example/databuddy.js"],
      ["data-client-id", "attribute"],
      ["data-batch-size", "2"],
    ] as const
    expect(readOptions(config, tag, [["client-id", "url"]])).toEqual({
      clientId: "url",
      batchSize: 2,
      maxRetries: 1,
    })
  })

  const numbers: [value: unknown, result: number][] = [
    [undefined, 10],
    ["many", 10],
    [0, 1],
    [7, 7],
    [1_000, 50],
  ]
  test.each(numbers)("a batch size of %p becomes %d", (value, result) => {
    expect(numberOption(value, 10, 1, 50)).toBe(result)
  })

  test("a sample contains about the requested share of visitors, and always the same visitors", () => {
    const visitors = Array.from({ length: 4_000 }, () => `anon_${createId()}`)
    const sampled = visitors.filter((id) => isSampled(id, 0.25))
    // Six standard deviations around 1,000.
    expect(sampled.length).toBeGreaterThan(835)
    expect(sampled.length).toBeLessThan(1_165)
    expect(sampled.every((id) => isSampled(id, 0.25) && isSampled(id, 0.5))).toBe(true)
    expect(visitors.every((id) => isSampled(id, undefined) && !isSampled(id, 0))).toBe(true)
  })
})

const matches: [pattern: string, path: string, isMatch: boolean][] = [
  ["/admin", "/admin", true],
  ["/admin", "/admin/users", false],
  ["/admin", "/administration", false],
  ["/admin/*", "/admin/users", true],
  ["/admin/*", "/admin/users/7", false],
  ["/admin/*", "/admin", false],
  ["/admin/**", "/admin/users/7", true],
  ["/admin/**", "/admin", true],
  ["/*/edit", "/posts/edit", true],
  ["/**/edit", "/a/b/edit", true],
  ["/a.b", "/axb", false],
  ["/(", "/(", true],
]
test.each(matches)("the pattern %s and the path %s: %p", (pattern, path, isMatch) => {
  expect(matchesPattern(path, [pattern])).toBe(isMatch)
})

test.each([undefined, "/admin", 7, {}])("patterns that are not a list match nothing: %p", (patterns) => {
  expect(matchesPattern("/admin", patterns)).toBe(false)
})

const masks: [pattern: string, path: string, masked: string][] = [
  ["/users/*", "/users/7", "/users/*"],
  ["/users/*", "/users/7/posts", "/users/*/posts"],
  ["/users/*", "/users", "/users"],
  ["/users/*/posts/*", "/users/7/posts/9/edit", "/users/*/posts/*/edit"],
  ["/docs/**", "/docs/a/b", "/docs/*"],
  ["/other/*", "/users/7", "/users/7"],
]
test.each(masks)("the mask %s changes %s to %s", (pattern, path, masked) => {
  expect(maskPath(path, [pattern])).toBe(masked)
})

/** A browser's storage. Calls for which `fails` returns true throw an error. */
function storage(fails: (call: "getItem" | "setItem" | "removeItem") => boolean = () => false) {
  const values = new Map<string, string>()
  const available = (call: "getItem" | "setItem" | "removeItem") => {
    if (fails(call)) throw new Error("blocked")
    return values
  }
  return {
    values,
    getItem: (key: string) => available("getItem").get(key) ?? null,
    setItem: (key: string, value: string) => void available("setItem").set(key, value),
    removeItem: (key: string) => void available("removeItem").delete(key),
  }
}

describe("storage", () => {
  const kinds: [name: string, open: () => ReturnType<typeof storage>][] = [
    ["that works", () => storage()],
    ["that is full", () => storage((call) => call === "setItem")],
    ["that is blocked", () => storage(() => true)],
  ]
  test.each(kinds)("%s holds values until they are removed", (_, create) => {
    const backing = create()
    const area = openStorageArea(() => backing)
    expect(area.get("did")).toBeNull()
    area.set("did", "a")
    area.set("did", "b")
    expect(area.get("did")).toBe("b")
    area.remove("did")
    expect(area.get("did")).toBeNull()
  })

  test("is empty after another tab has cleared it", () => {
    const backing = storage()
    const area = openStorageArea(() => backing)
    area.set("did", "a")
    backing.values.clear()
    expect(area.get("did")).toBeNull()
  })
})

describe("identity", () => {
  function open() {
    const clock = { now: 1_000 }
    const local = storage()
    const session = storage()
    const areas = [openStorageArea(() => local), openStorageArea(() => session)] as const
    return { clock, local, session, identity: createIdentity(...areas, () => clock.now) }
  }

  test("a session lasts while there are events, and ends after 30 minutes without one", () => {
    const { clock, identity } = open()
    const first = identity.session()
    expect(first.sessionId).toMatch(/^sess_[\da-f-]{36}$/)
    clock.now += 30 * 60_000
    expect(identity.session()).toEqual(first)
    clock.now += 30 * 60_000
    expect(identity.session()).toEqual(first)
    clock.now += 30 * 60_000 + 1
    const next = identity.session()
    expect(next.sessionId).not.toBe(first.sessionId)
    expect(next.sessionStartTime).toBe(clock.now)
  })

  test("activity extends a session, but neither starts one nor revives one that is over", () => {
    const { clock, session, identity } = open()
    clock.now = Date.UTC(2026, 0, 1)
    identity.extend()
    expect([...session.values.keys()]).toEqual([])
    const first = identity.session()
    clock.now += 20 * 60_000
    identity.extend()
    clock.now += 20 * 60_000
    expect(identity.session()).toEqual(first)
    clock.now += 30 * 60_000 + 1
    identity.extend()
    expect(identity.session().sessionId).not.toBe(first.sessionId)
  })

  const carried: [query: string, ids: [string | null, string | null]][] = [
    ["anonId=anon_1&sessionId=sess_1", ["anon_1", "sess_1"]],
    ["anonId=<script>&sessionId=", [null, null]],
    [`anonId=${"a".repeat(129)}`, [null, null]],
  ]
  test.each(carried)("the IDs in a link are adopted if they are valid: %s", (query, [visitor, session]) => {
    const opened = open()
    opened.identity.adopt(new URLSearchParams(query))
    expect(
      [opened.local.values.get("did"), opened.session.values.get("did_session")].map((id) => id ?? null),
    ).toEqual([visitor, session])
  })

  test("an opt-out stores only itself, and an opt-in stores a consent only if the page waits for one", () => {
    const { local, session, identity } = open()
    local.values.set("did_params", "{}")
    identity.optIn(true)
    identity.visitor()
    identity.session()
    identity.setProfile("u1")
    identity.optOut()
    expect([...local.values.keys(), ...session.values.keys()]).toEqual([
      "databuddy_opt_out",
      "databuddy_disabled",
    ])
    expect([identity.isOptedOut(), identity.hasConsent()]).toEqual([true, false])
    identity.optIn(false)
    expect([...local.values.keys()]).toEqual([])
    identity.optIn(true)
    expect([...local.values.keys()]).toEqual(["did_consent"])
  })
})

describe("bodies", () => {
  const size = (text: string) => Buffer.byteLength(text)

  test.each([1, 10, 2_000])(
    "of %d items contain each item once, in order, and are at most 60 KiB each",
    (count) => {
      const items = Array.from({ length: count }, (_, index) =>
        JSON.stringify({ index, text: "é€".repeat(index % 200) }),
      )
      const bodies = bodiesOf(items)
      expect(bodies.flatMap((body) => JSON.parse(body)).map(({ index }) => index)).toEqual(
        items.map((_, index) => index),
      )
      for (const body of bodies) expect(size(body)).toBeLessThanOrEqual(60 * 1_024)
      // No two neighbors would fit into one body.
      for (let at = 1; at < bodies.length; at++) {
        expect(size(`${bodies[at - 1]},${JSON.stringify(JSON.parse(bodies[at] ?? "")[0])}`)).toBeGreaterThan(
          60 * 1_024,
        )
      }
    },
  )

  test("of an item above 60 KiB contain only that item", () => {
    const large = JSON.stringify("x".repeat(70_000))
    expect(bodiesOf(["1", large, "2"])).toEqual(["[1]", `[${large}]`, "[2]"])
  })
})

test("only temporary failures are retried", () => {
  const statuses = [0, 200, 204, 400, 401, 403, 404, 408, 413, 425, 429, 500, 502, 503, 504]
  expect(statuses.filter(isRetryable)).toEqual([0, 408, 425, 429, 500, 502, 503, 504])
})

describe("transport", () => {
  beforeEach(() => void jest.useFakeTimers())
  afterEach(() => void jest.useRealTimers())

  /** A transport whose requests get `statuses`, then 200. */
  function open(options: Options = {}, statuses: number[] = []) {
    const sent: string[] = []
    const beacons: string[] = []
    const transport = createTransport(
      "https://e.example",
      { clientId: "a&b", ...options },
      {
        post: async (url, body) => {
          sent.push(`${url.slice("https://e.example".length)} ${body}`)
          return statuses.shift() ?? 200
        },
        beacon: (url, body) => Boolean(beacons.push(`${url.slice("https://e.example".length)} ${body}`)),
        pixel: async () => 200,
      },
    )
    return { transport, sent, beacons }
  }
  /** Advances the clock and lets responses arrive. */
  async function pass(ms: number) {
    jest.advanceTimersByTime(ms)
    for (let turn = 0; turn < 5; turn++) await Promise.resolve()
  }

  test("collects items of a path for five seconds", async () => {
    const { transport, sent } = open()
    transport.add("/batch", { a: 1 })
    await pass(4_000)
    transport.add("/batch", { a: 2 })
    transport.add("/vitals", { b: 1 })
    await pass(999)
    expect(sent).toEqual([])
    await pass(1)
    expect(sent).toEqual(['/batch?client_id=a%26b [{"a":1},{"a":2}]', '/vitals?client_id=a%26b [{"b":1}]'])
  })

  const full: [path: string, options: Options, count: number][] = [
    ["/batch", {}, 10],
    ["/batch", { batchSize: 3 }, 3],
    ["/track", { batchSize: 999 }, 50],
    ["/batch", { enableBatching: false }, 1],
    ["/vitals", {}, 6],
    ["/errors", { enableBatching: false }, 1],
  ]
  test.each(full)("sends %s with %j at once when there are %d items", (path, options, count) => {
    const { transport, sent } = open(options)
    for (let index = 1; index < count; index++) transport.add(path, {})
    expect(sent).toEqual([])
    transport.add(path, {})
    expect(sent.length).toBe(1)
  })

  test("sends the same body again after 0.5, 1 and 2 seconds, then waits for the next item", async () => {
    const { transport, sent } = open({}, [503, 0, 429, 500, 200])
    transport.add("/track", { eventId: "e1" }, true)
    const counts: number[] = []
    for (const ms of [0, 499, 1, 999, 1, 1_999, 1, 60_000]) {
      await pass(ms)
      counts.push(sent.length)
    }
    expect(counts).toEqual([1, 1, 2, 2, 3, 3, 4, 4])
    transport.add("/track", { eventId: "e2" }, true)
    await pass(0)
    expect(sent.slice(4)).toEqual([sent[0] ?? "", '/track?client_id=a%26b [{"eventId":"e2"}]'])
    expect(new Set(sent.slice(0, 5)).size).toBe(1)
    await pass(60_000)
    expect(sent.length).toBe(6)
  })

  test("does not retry with enable-retries=false", async () => {
    const { transport, sent } = open({ enableRetries: false }, [503])
    transport.add("/track", {}, true)
    await pass(60_000)
    transport.flush()
    expect(sent.length).toBe(1)
  })

  test("sends unacknowledged items as beacons when the page is left, and does not send them again", async () => {
    const { transport, sent, beacons } = open({}, [503])
    transport.add("/track", { eventId: "retried" }, true)
    await pass(0)
    transport.add("/batch", { eventId: "waiting" })
    transport.setLeaving(true)
    transport.add("/vitals", { eventId: "late" })
    expect(beacons).toEqual([
      '/track?client_id=a%26b [{"eventId":"retried"}]',
      '/batch?client_id=a%26b [{"eventId":"waiting"}]',
      '/vitals?client_id=a%26b [{"eventId":"late"}]',
    ])
    transport.setLeaving(false)
    await pass(60_000)
    expect(sent.length).toBe(1)
  })

  test("discards waiting items after an opt-out", async () => {
    const { transport, sent } = open({}, [503])
    transport.add("/track", {}, true)
    await pass(0)
    transport.add("/batch", {})
    transport.clear()
    await pass(60_000)
    expect(sent.length).toBe(1)
  })

  test("holds at most 50 requests while the server is unreachable, and drops the oldest", async () => {
    const { transport, sent } = open(
      { maxRetries: 1 },
      Array.from({ length: 200 }, () => 0),
    )
    for (let index = 0; index < 60; index++) transport.add("/track", { index }, true)
    await pass(0)
    await pass(60_000)
    sent.length = 0
    transport.flush()
    expect(sent.length).toBe(50)
    expect(sent[0]).toContain('"index":10')
  })
})

describe("the bundles", () => {
  const scripts = bundleScripts()

  test("databuddy.js is at most 5 KiB gzipped, and the modules are small", async () => {
    const sizes = Object.entries(await scripts).map(
      ([name, source]) => [name, Bun.gzipSync(Buffer.from(source), { level: 9 }).length] as const,
    )
    const limits = {
      databuddy: 5_120,
      "databuddy-debug": 5_300,
      vitals: 4_096,
      errors: 1_024,
      engagement: 1_536,
      pixel: 512,
    }
    expect(sizes.filter(([name, size]) => size > limits[name as keyof typeof limits])).toEqual([])
    expect(sizes.map(([name]) => name).toSorted()).toEqual(Object.keys(limits).toSorted())
  })

  test("use no syntax newer than ES2022, and nothing that a strict content security policy forbids", async () => {
    for (const [name, source] of Object.entries(await scripts)) {
      const sourceType = name.startsWith("databuddy") ? "script" : "module"
      expect(() => parse(source, { ecmaVersion: 2022, sourceType })).not.toThrow()
      expect(source).not.toMatch(/\beval\(|new Function|innerHTML|\.style\b|document\.cookie|document\.write/)
    }
  })

  test("only the debug build logs", async () => {
    const { databuddy, "databuddy-debug": debug } = await scripts
    expect([databuddy.includes("console"), debug.includes("console")]).toEqual([false, true])
  })
})
