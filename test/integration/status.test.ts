import { afterEach, beforeEach, expect, test } from "bun:test"
import { statSync } from "node:fs"
import type { Key, Scope } from "../../src/store/keys.ts"
import { createWebsite, deleteWebsite } from "../../src/store/websites.ts"
import { version } from "../../src/version.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { eventRow } from "../support/event.ts"

let app: TestApp
beforeEach(() => {
  app = openApp()
})
afterEach(() => app.close())

async function status(scopes: Scope[] = ["manage:websites"], websites: Key["websites"] = null) {
  const { secret } = giveKey(app, { scopes, websites })
  const response = await app.send(
    new Request("http://localhost/v1/status", { headers: { Authorization: `Bearer ${secret}` } }),
  )
  // biome-ignore lint/suspicious/noExplicitAny: bodies are only compared
  return { response, body: (await response.json()) as any }
}

test("describes the state of the server", async () => {
  const { response, body } = await status()
  expect(response.status).toBe(200)
  const file = app.store.db.name
  expect(body).toEqual({
    success: true,
    version,
    startedAt: "2026-08-01T12:00:00.000Z",
    database: { bytes: statSync(file).size, walBytes: statSync(`${file}-wal`).size, events: 0 },
    disk: { freeBytes: expect.any(Number), minFreeBytes: 0 },
    retain: "forever",
    backups: null,
    offsiteBackups: null,
    clickhouse: null,
    registry: null,
    durability: "os",
  })
})

test("counts all events, even those of crawlers or without a website, except those of deleted websites", async () => {
  const { db, registry, batcher } = app.store
  const settings = { domain: "a.com", name: "a", allowedOrigins: [], anonymize: "off" as const }
  const { rid } = createWebsite(db, "here", settings, app.clock.now)
  const gone = createWebsite(db, "gone", settings, app.clock.now)
  const rows = [0, 0, rid, gone.rid].map((websiteRid, index) =>
    eventRow({ websiteRid, ts: app.clock.now, crawler: index === 0 ? 1 : 0 }),
  )
  await batcher.submit({ rows, size: 1 })
  registry.refresh()
  expect((await status()).body.database.events).toBe(4)
  deleteWebsite(db, "gone", app.clock.now)
  registry.refresh()
  expect((await status()).body.database.events).toBe(3)
})

const schedules: [string, { lastSuccess: number; lastFailure: number; bytes: number }, object][] = [
  [
    "none yet",
    { lastSuccess: 0, lastFailure: 0, bytes: 0 },
    { newestAt: null, newestBytes: null, lastFailureAt: null },
  ],
  [
    "one that succeeded",
    { lastSuccess: Date.UTC(2026, 6, 31), lastFailure: 0, bytes: 4_096 },
    { newestAt: "2026-07-31T00:00:00.000Z", newestBytes: 4_096, lastFailureAt: null },
  ],
  [
    "one that failed",
    { lastSuccess: 0, lastFailure: Date.UTC(2026, 6, 31), bytes: 0 },
    { newestAt: null, newestBytes: null, lastFailureAt: "2026-07-31T00:00:00.000Z" },
  ],
]
test.each(schedules)("describes scheduled backups: %s", async (_, state, expected) => {
  await app.close()
  app = openApp(({ serverState }) => ({
    serverState: {
      ...serverState,
      retain: 34_560_000_000,
      backups: { every: 3_600_000, keep: 7, state: { ...state, failures: 0 } },
      offsiteBackups: {
        every: 3_600_000,
        keep: 7,
        state: { ...state, failures: 0 },
        url: "s3://b/",
        isEncrypted: true,
      },
    },
  }))
  const schedule = { everyMs: 3_600_000, keep: 7, ...expected }
  expect((await status()).body).toMatchObject({
    retain: "400d",
    backups: schedule,
    offsiteBackups: { ...schedule, url: "s3://b/", encrypted: true },
  })
})

const refused: [string, Scope[], Key["websites"], string][] = [
  ["a key that can only read", ["read:data"], null, "scope_missing"],
  ["a key that can only manage keys", ["manage:keys"], null, "scope_missing"],
  ["a key for some websites", ["manage:websites"], ["here"], "key_website_mismatch"],
]
test.each(refused)("%s is rejected", async (_, scopes, websites, reason) => {
  const { response } = await status(scopes, websites)
  expect([response.status, response.headers.get("x-databuddy-reason")]).toEqual([403, reason])
})
