import { type SealedState, sealedStateSql } from "../columns/sealed-state.ts"
import { requestContextOf } from "../http/request-context.ts"
import { setSessionCookie } from "../http/session-cookie.ts"
import {
  type OpenServer,
  openServer,
  type ServerEnvironment,
  type ServerOptions,
} from "../server/open-server.ts"
import { createLoginSession } from "../store/login-sessions.ts"
import { restoreLink, restoreProfile } from "../store/profiles.ts"
import { newToken } from "../store/tokens.ts"
import { createDataset, type Dataset, rowBytes } from "./dataset.ts"
import { SeededRandom } from "./random.ts"
import { createSaved, type DemoWebsites } from "./saved.ts"
import { Timeline } from "./timeline.ts"

/** Number of rows per write. Committing them blocks the server for a few ms. */
const rowsPerWrite = 4_000
/** The demo is ready once at most this many rows are unsealed, because queries then do not wait for the sealer. */
const maxUnsealed = 8_192
/** Time between checks of the number of sealed rows, in ms. */
const sealPoll = 50

/** A server that has the demo data but does not listen yet. */
export interface Demo {
  server: OpenServer
  dataset: Dataset
  websites: DemoWebsites
  /** Path that logs the browser in as the owner. Valid until the server stops. */
  loginPath: string
}

export interface DemoOptions {
  seed: number
  /** Aborts the preparation before its next step. */
  signal: AbortSignal
  sleep: (ms: number) => Promise<void>
  /** Called before the events are created, so that a port in use is reported immediately. */
  listen?: (server: OpenServer) => void
}

/**
 * Opens a server on an empty database and fills the database. Resolves when the events are sealed, so that the first
 * queries are as fast as later ones. If the signal is aborted, closes the server and resolves to undefined.
 */
export async function openDemo(
  options: ServerOptions,
  environment: ServerEnvironment,
  { seed, signal, sleep, listen }: DemoOptions,
): Promise<Demo | undefined> {
  const server = openServer(options, environment)
  try {
    await server.opened
    const timeline = new Timeline(environment.now())
    const { batcher, db, registry } = server.store
    const { ownerId, websites } = await batcher.run(() => createSaved(db, new SeededRandom(seed), timeline))
    registry.refresh()
    const loginPath = addLogin(server, ownerId, environment)
    listen?.(server)
    server.start()
    const { shop, app } = websites
    const dataset = createDataset(seed, timeline.now, { shop: shop.rid, app: app.rid })
    if (await load(server, dataset, { signal, sleep })) return { server, dataset, websites, loginPath }
  } catch (error) {
    await server.close()
    throw error
  }
  await server.close()
  return undefined
}

/** Stores the data and waits until nearly all of it is sealed. Returns false if the signal is aborted before then. */
async function load(
  { store: { batcher, db } }: OpenServer,
  { rows, profiles, links }: Dataset,
  { signal, sleep }: Pick<DemoOptions, "signal" | "sleep">,
): Promise<boolean> {
  await batcher.run(() => {
    for (const profile of profiles) restoreProfile(db, profile)
    for (const link of links) restoreLink(db, link)
  })
  for (let next = 0; next < rows.length; next += rowsPerWrite) {
    if (signal.aborted) return false
    const write = rows.slice(next, next + rowsPerWrite)
    await batcher.submit({ rows: write, size: write.length * rowBytes })
  }
  const sealed = db.prepare(sealedStateSql)
  for (;;) {
    if (signal.aborted) return false
    // The type assertion is safe because the statement selects the columns of `SealedState`.
    const { id, last } = sealed.get() as SealedState
    if (last - id <= maxUnsealed) return true
    await sleep(sealPoll)
  }
}

/**
 * Adds a route that logs in without a password, and returns its path. Only the demo has such a route, because its data
 * is invented.
 */
function addLogin(
  { app, deps, store }: OpenServer,
  ownerId: string,
  { now, random }: Pick<ServerEnvironment, "now" | "random">,
): string {
  const path = `/demo/${newToken(random)}`
  app.get(path, async ({ request, server }) => {
    const token = await store.batcher.run(() => createLoginSession(store.db, ownerId, random, now()))
    const headers: Record<string, string> = { Location: "/", "Cache-Control": "no-store" }
    setSessionCookie(headers, requestContextOf(request, server), deps, token)
    return new Response(null, { status: 303, headers })
  })
  return path
}
