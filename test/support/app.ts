import { type AppDeps, createApp } from "../../src/app.ts"
import { parseNetworks } from "../../src/http/address.ts"
import type { Log } from "../../src/log.ts"
import { openServer, type ServerOptions } from "../../src/server/open-server.ts"
import { createKey, type KeyGrant, scopes } from "../../src/store/keys.ts"
import type { Store } from "../../src/store/store.ts"
import { PasswordHasher } from "../../src/users/password-hash.ts"
import { createDatabase, temporaryFolder } from "../harness.ts"

export interface TestApp {
  store: Store
  /** Sends a request to the app, which does not listen. */
  send: (request: Request) => Promise<Response>
  /** The app's clocks, which do not advance on their own. `now` is in Unix ms. The wall clock is `ahead` ms ahead. */
  clock: { now: number; ahead: number }
  /** Log lines as JSON. */
  logged: string[]
  /** See `OpenServer`. */
  opened: Promise<void>
  /** Starts background work. */
  start: () => void
  close: () => Promise<void>
}

/** The cheapest password hash, so that tests are fast. */
export const cheapHash = { memoryCost: 8, timeCost: 1 }

/** Time of the app's clocks when it opens, Unix ms. */
const openedAt = Date.UTC(2026, 7, 1, 12)

/** Opens a complete server on a new database, without listening. `changes` replaces dependencies of the routes. */
export function openApp(
  changes: (deps: AppDeps) => Partial<AppDeps> = () => ({}),
  options: Partial<
    Pick<
      ServerOptions,
      | "countryHeader"
      | "geoFile"
      | "basePath"
      | "ingestPath"
      | "cluster"
      | "clusterQuery"
      | "keepLocal"
      | "node"
      | "registrySource"
      | "registrySecret"
    >
  > = {},
): TestApp {
  const folder = temporaryFolder()
  const path = folder.file("test.db")
  createDatabase(path, openedAt)
  const clock = { now: openedAt, ahead: 0 }
  const logged: string[] = []
  const log: Log = (level, message, fields) => logged.push(JSON.stringify({ level, message, ...fields }))
  const trustProxy = parseNetworks("127.0.0.0/8,::1")
  if (!trustProxy) throw new Error("the networks are invalid")
  const { deps, store, opened, start, close } = openServer(
    {
      path,
      durability: "os",
      queueEvents: 50_000,
      queueBytes: 67_108_864,
      lockWait: 5_000,
      minFree: 0,
      queryMemory: 268_435_456,
      maxBatch: 1_000,
      maxBody: 2_097_152,
      rateLimit: 0,
      rateLimitEvents: 0,
      rateLimitBytes: 0,
      trustProxy,
      basePath: "",
      ingestPath: "",
      scriptName: "databuddy.js",
      queryThreadOnDemand: true,
      ...options,
      metricsAccess: { token: undefined, local: false },
      backups: undefined,
      offsiteBackups: undefined,
    },
    {
      now: () => clock.now + clock.ahead,
      elapsed: () => clock.now,
      random: (bytes) => crypto.getRandomValues(bytes),
      pid: process.pid,
      newId: () => crypto.randomUUID(),
      memory: 0, // unused: `queryMemory` is given
      log,
    },
  )
  const app = createApp({ ...deps, passwords: new PasswordHasher(cheapHash), ...changes(deps) })
  return {
    store,
    send: async (request) => app.handle(request),
    clock,
    logged,
    opened,
    start,
    close: async () => {
      await close()
      folder[Symbol.dispose]()
    },
  }
}

/** Creates a key, as the command line does. By default, it has all scopes on all websites and no limits. */
export function giveKey(
  { store: { db, registry }, clock }: TestApp,
  grant: Partial<KeyGrant> = {},
): { id: string; secret: string } {
  const everything = { name: "given", scopes: [...scopes], websites: null, rateLimit: null, expiresAt: null }
  const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
  const { key, secret } = createKey(db, crypto.randomUUID(), { ...everything, ...grant }, random, clock.now)
  registry.refresh()
  return { id: key.id, secret }
}
