import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import type { Server } from "bun"
import { RegistryFollower } from "../../src/registry/follower.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { createKey, revokeKey, rotateKey } from "../../src/store/keys.ts"
import {
  followRegistry,
  readRegistry,
  registrySource,
  withWritableRegistry,
} from "../../src/store/registry-copy.ts"
import { createUser, deleteUser, setPassword, userWithEmail } from "../../src/store/users.ts"
import { createWebsite, deleteWebsite, listWebsites, updateWebsite } from "../../src/store/websites.ts"
import { inTransaction } from "../../src/terminal/database.ts"
import { eventually } from "../harness.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"

// Websites, keys and users are managed on the first node, and the second node copies them.

const registrySecret = "0123456789abcdef0123456789abcdef"
const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)

let first: TestApp
let listener: Server<undefined>
let url = ""
let second: TestApp
let follower: RegistryFollower
let key: { id: string; secret: string }
/** Statuses of the first node's responses. */
let answers: number[]
/** Sent instead of the first node's response. */
let forged: ReturnType<typeof readRegistry> | undefined

beforeEach(async () => {
  first = openApp(undefined, { registrySecret })
  answers = []
  forged = undefined
  listen(0)
  url = `http://127.0.0.1:${listener.port}`
  website("shop")
  key = giveKey(first)
  createUser(
    first.store.db,
    "ann",
    { email: "ann@a.com", role: "owner", websites: null, sections: null },
    "hash",
    0,
  )
  createUser(
    first.store.db,
    "bob",
    { email: "bob@a.com", role: "viewer", websites: null, sections: null },
    null,
    0,
  )
  second = openApp(undefined, { registrySource: { url, secret: registrySecret } })
  await eventually(() => (registrySource(second.store.db)?.copiedAt ?? 0) > 0, { timeout: 60_000 })
  const { store, clock, logged } = second
  follower = new RegistryFollower(
    store,
    { url, secret: registrySecret },
    { now: () => clock.now, elapsed: () => clock.now, random, pid: 1 },
    (_, message, fields) => logged.push(`${message} ${fields?.error ?? ""}`),
  )
})
afterEach(async () => {
  await second.close()
  await listener.stop(true)
  await first.close()
})

function listen(port: number): void {
  listener = Bun.serve({
    port,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      if (forged) return Response.json(forged)
      const response = await first.send(request)
      answers.push(response.status)
      return response
    },
  })
}

const website = (id: string) =>
  createWebsite(first.store.db, id, { domain: "a.com", name: id, allowedOrigins: [], anonymize: "off" }, 0)

const send = (app: TestApp, method: string, path: string, secret: string, body?: object) =>
  app.send(
    new Request(`http://localhost${path}`, {
      method,
      headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" },
      ...(body && { body: JSON.stringify(body) }),
    }),
  )
const track = async (app: TestApp, secret = key.secret) =>
  (await send(app, "POST", "/track", secret, { name: "bought" })).status

const expectEqual = () => {
  const live = (db: Db) => {
    const { websites, deleted_websites, ...rest } = readRegistry(db)
    return { ...rest, websites: websites.filter(({ deleted_at }) => deleted_at === null) }
  }
  expect(live(second.store.db)).toEqual(live(first.store.db))
}

test("the first start copies websites, keys and users, so every node accepts the same requests", async () => {
  expectEqual()
  expect(await track(second)).toBe(200)
})

const changes: [what: string, change: (db: Db) => void][] = [
  ["a new website", () => website("blog")],
  ["changed settings", (db) => updateWebsite(db, "shop", { name: "New", retain: 86_400_000 })],
  ["a deleted website", (db) => deleteWebsite(db, "shop", 1)],
  [
    "a deleted website whose row was deleted",
    (db) => {
      deleteWebsite(db, "shop", 1)
      db.exec("delete from websites")
    },
  ],
  [
    "a website that was deleted and created again",
    (db) => {
      deleteWebsite(db, "shop", 1)
      website("shop")
    },
  ],
  ["a rotated key", (db) => rotateKey(db, key.id, "1d", random, 1)],
  [
    "a new user with the email address of a deleted user",
    (db) => {
      deleteUser(db, "ann")
      createUser(
        db,
        "new",
        { email: "ann@a.com", role: "viewer", websites: ["shop"], sections: null },
        null,
        0,
      )
    },
  ],
]
test.each(changes)("the next copy has %s", async (_, change) => {
  change(first.store.db)
  await follower.poll()
  expectEqual()
})

test("a revoked key stops working with the next copy", async () => {
  expect(await track(second)).toBe(200)
  revokeKey(first.store.db, key.id, first.clock.now)
  await follower.poll()
  expect(await track(second)).toBe(401)
})

test("a new password ends the login sessions of its user on every node", async () => {
  const { db } = second.store
  db.exec(
    "insert into sessions (hash, user_id, created_at, seen_at, expires_at) values (x'00', 'ann', 0, 0, 1)",
  )
  await follower.poll()
  expect(db.prepare("select count(*) from sessions").pluck().get()).toBe(1)
  setPassword(first.store.db, "ann", "other")
  await follower.poll()
  expect(db.prepare("select count(*) from sessions").pluck().get()).toBe(0)
})

test("without changes, the first node responds with 304, and nothing is written", async () => {
  const { db } = second.store
  const version = () => db.prepare("select version from registry").pluck().get()
  const before = version()
  await follower.poll()
  expect(answers.at(-1)).toBe(304)
  expect(version()).toBe(before)
})

test("without changes, the first node does not read its registry again", async () => {
  await follower.poll()
  first.store.db.exec("alter table users rename to users_that_cannot_be_read")
  await follower.poll()
  expect(answers.slice(-2)).toEqual([304, 304])
})

test("while the first node is down, the second one accepts events and reports the age of its copy", async () => {
  await listener.stop(true)
  second.clock.now += 3_600_000
  await follower.poll()
  await follower.poll()
  expect(await track(second)).toBe(200)
  expect(follower.state).toMatchObject({ failures: 2, failure: expect.any(String) })
  expect(second.logged.filter((line) => line.startsWith("the registry cannot be copied"))).toHaveLength(1)
  const status = (await (await send(second, "GET", "/v1/status", key.secret)).json()) as object
  expect(status).toMatchObject({ registry: { url, copiedAt: new Date(first.clock.now).toISOString() } })
  listen(Number(new URL(url).port))
  website("blog")
  await follower.poll()
  expectEqual()
})

describe("changes on the second node are rejected with an error that names the first node:", () => {
  const requests: [method: string, path: string, body: object | undefined][] = [
    ["POST", "/v1/websites", { domain: "b.com", name: "B" }],
    ["PATCH", "/v1/websites/shop", { name: "B" }],
    ["DELETE", "/v1/websites/shop", undefined],
    ["POST", "/v1/keys", { name: "b", scopes: ["read:data"] }],
    ["PATCH", "/v1/keys/:key", { disabled: true }],
    ["DELETE", "/v1/keys/:key", undefined],
    ["POST", "/v1/users", { email: "b@b.com", role: "viewer" }],
    ["DELETE", "/v1/users/bob", undefined],
  ]
  test.each(requests)("%s %s", async (method, path, body) => {
    const response = await send(second, method, path.replace(":key", key.id), key.secret, body)
    expect([response.status, await response.text()]).toEqual([
      409,
      expect.stringContaining(`from ${url}: change them there`),
    ])
    expect(response.headers.get("x-databuddy-reason")).toBe("registry_elsewhere")
    expectEqual()
  })

  test("by a command", () => {
    const { db } = second.store
    const grant = { name: "b", scopes: [], websites: null, rateLimit: null, expiresAt: null }
    expect(() => inTransaction(db, () => createKey(db, "b", grant, random, 0))).toThrow(url)
  })

  test("except times of last use and logins, which differ between nodes", () => {
    second.store.db.exec("update keys set last_used_at = 5; update users set last_login_at = 5")
    expect(second.store.db.prepare("select last_used_at from keys").pluck().get()).toBe(5)
  })
})

describe("GET /v1/registry", () => {
  test.each(["", "wrong"])("requires the secret, and rejects %p", async (secret) => {
    const response = await send(first, "GET", "/v1/registry", secret || "-")
    expect([response.status, response.headers.get("x-databuddy-reason")]).toEqual([
      401,
      "registry_secret_wrong",
    ])
  })
  test("does not accept a key, and does not exist on a copy", async () => {
    expect((await send(first, "GET", "/v1/registry", key.secret)).status).toBe(401)
    expect((await send(second, "GET", "/v1/registry", registrySecret)).status).toBe(404)
  })
})

describe("a file", () => {
  test("with a copy needs --registry, and can keep the copy as its own registry", () => {
    const { db } = second.store
    expect(() => followRegistry(db, undefined)).toThrow(`copies its websites, keys and users from ${url}`)
    followRegistry(db, "none")
    expect(registrySource(db)).toBeUndefined()
    followRegistry(db, undefined)
    updateWebsite(db, "shop", { name: "Mine" })
    expect(listWebsites(db).map(({ name }) => name)).toEqual(["Mine"])
  })

  test("with its own websites does not become a copy", () => {
    expect(() => followRegistry(first.store.db, url)).toThrow("has websites, keys or users of its own")
  })

  test("with a copy can be restored, and revoked access does not return with it", async () => {
    const { db } = second.store
    withWritableRegistry(db, () => revokeKey(db, key.id, 1))
    await follower.poll()
    expectEqual()
  })

  test("does not start without a first copy", async () => {
    const third = openApp(undefined, { registrySource: { url, secret: "wrong".repeat(8) } })
    expect(await third.opened.catch((error: Error) => error.message)).toContain("it responded with 401")
    await third.close()
  })
})

describe("a response is rejected and the last copy stays in use if", () => {
  type Copy = ReturnType<typeof readRegistry>
  const newFile = { registry: "other", revision: 1, websites: [], keys: [], users: [], deleted_websites: [] }
  const wrong: [what: string, answer: (copy: Copy) => Copy, problem: string][] = [
    ["the first node has a new file", () => newFile, "has a different registry"],
    ["it has a different registry", (copy) => ({ ...copy, registry: "other" }), "has a different registry"],
    ["it has an older state", (copy) => ({ ...copy, revision: copy.revision - 1 }), "has an older registry"],
    [
      "it lacks a website that was not deleted",
      (copy) => ({ ...copy, websites: [] }),
      "lacks the website shop, which was not deleted",
    ],
    [
      "a website has the number of another website",
      (copy) => ({ ...copy, websites: copy.websites.map((row) => ({ ...row, id: "blog" })) }),
      "has the website blog where this copy has the website shop",
    ],
    [
      "a deleted website has the number of another website",
      (copy) => ({ ...copy, websites: [], deleted_websites: [{ rid: 1, id: "blog", deleted_at: 1 }] }),
      "has the website blog where this copy has the website shop",
    ],
  ]
  test.each(wrong)("%s", async (_, answer, problem) => {
    const { db } = second.store
    forged = answer(readRegistry(first.store.db))
    await follower.poll()
    await follower.poll()
    expectEqual()
    expect(await track(second)).toBe(200)
    const failure = expect.stringContaining(problem)
    expect(follower.state).toMatchObject({ failure, isRejected: true })
    expect(registrySource(db)?.problem).toEqual(failure)
    expect(second.logged.filter((line) => line.includes(problem))).toHaveLength(1)

    forged = undefined
    await follower.poll()
    expect(follower.state).toMatchObject({ failure: undefined, isRejected: false })
    expect(registrySource(db)?.problem).toBe("")
  })

  test.each(wrong)("%s, unless --registry was none until then", async (_, answer, problem) => {
    const { db } = second.store
    followRegistry(db, "none")
    followRegistry(db, url)
    forged = answer(readRegistry(first.store.db))
    await follower.poll()
    if (problem.startsWith("has the website")) expect(follower.state.failure).toContain(problem)
    else
      expect([follower.state.failure, readRegistry(db)]).toMatchObject([
        undefined,
        { registry: forged.registry },
      ])
  })

  test("a new file of the first node uses the number of another website, and only a new copy can accept it", async () => {
    const { websites } = readRegistry(first.store.db)
    forged = { ...newFile, websites: websites.map((row) => ({ ...row, id: "blog" })) }
    await follower.poll()
    expect(follower.state.failure).toMatch(
      /has a different registry.*to accept its state, give this server a new file/,
    )
  })

  test("a new website has the number of a deleted website", async () => {
    website("blog")
    deleteWebsite(first.store.db, "blog", 1)
    await follower.poll()
    const copy = readRegistry(first.store.db)
    forged = {
      ...copy,
      websites: copy.websites.map((row) => ({ ...row, ...(row.rid === 2 && { id: "news" }) })),
    }
    await follower.poll()
    expect(follower.state.failure).toContain("has the website news where this copy has the website blog")
  })
})

test("a copy that became its server's own registry can replace the first node for other nodes", async () => {
  const { db } = second.store
  followRegistry(db, "none")
  createWebsite(db, "blog", { domain: "b.com", name: "B", allowedOrigins: [], anonymize: "off" }, 0)
  expect(readRegistry(db)).toMatchObject({
    registry: readRegistry(first.store.db).registry,
    revision: readRegistry(first.store.db).revision + 1,
  })
  expect(() => followRegistry(db, url)).toThrow("has websites, keys or users of its own")
})

test("an ETag that a proxy made weak still matches", async () => {
  const { etag } = registrySource(second.store.db) ?? {}
  const request = new Request(`${url}/v1/registry`, {
    headers: { Authorization: `Bearer ${registrySecret}`, "If-None-Match": `W/${etag}` },
  })
  expect((await first.send(request)).status).toBe(304)
})

test("a node logs a warning about websites whose visitors get a different ID on each node", async () => {
  updateWebsite(first.store.db, "shop", { anonymize: "daily" })
  await follower.poll()
  await follower.open()
  expect(second.logged.join()).toContain("a visitor counts once for each node")
})

test("a response in another format changes nothing", async () => {
  await listener.stop(true)
  const port = Number(new URL(url).port)
  listener = Bun.serve({ port, hostname: "127.0.0.1", fetch: () => Response.json({ websites: [{}] }) })
  await follower.poll()
  expect(follower.state.failure).toContain("update both servers")
  expectEqual()
  expect(userWithEmail(second.store.db, "ann@a.com")?.id).toBe("ann")
})
