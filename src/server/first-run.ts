import { OutputError, RequestError, UserError } from "../errors.ts"
import type { Db } from "../store/db/driver.ts"
import { createInvite } from "../store/invites.ts"
import { createKey, scopes } from "../store/keys.ts"
import type { Store } from "../store/store.ts"
import { hasOwner } from "../store/users.ts"
import { createWebsite } from "../store/websites.ts"
import type { Context } from "../terminal/context.ts"
import { newInviteJson } from "../users/responses.ts"
import { version } from "../version.ts"
import type { Tls } from "./tls.ts"

/** Where the server listens, for the start message. */
export interface Address {
  /** Includes the --base-path. */
  url: string
  /** Path of the database. */
  path: string
  /** The URL to use in links, with a host name that the certificate covers. If undefined, links use `url`. */
  publicUrl: string | undefined
  tls: Tls | undefined
  /** True if the server will not listen until it has a certificate. */
  isWaiting: boolean
}

/** The website and the key created in a new database. */
interface FirstKey {
  websiteId: string
  key: string
}

/** Secrets that are only shown in the start message. */
interface Secrets {
  /** Path of the setup link. Undefined if there is already an owner. */
  setupLink?: string | undefined
  firstKey?: FirstKey
}

/**
 * Prints the start message. In a new database, first creates a website and a key with all scopes. If there is no owner
 * yet, also creates a setup link. Creates nothing if `enabled` is false, which is the case with --no-setup or if nobody
 * would see the message. If the message cannot be written, rolls back everything that was created. In that case, throws
 * a UserError if there was a key to show, and otherwise calls `onFault`.
 */
export async function setUp(
  { db, batcher, registry }: Store,
  enabled: boolean,
  address: Address,
  context: Context,
  onFault: (error: unknown) => void,
): Promise<void> {
  const print = (secrets: Secrets) => context.out(startMessage(address, secrets))
  let outputError: OutputError | undefined
  const printInTransaction = (secrets: Secrets) => {
    try {
      print(secrets)
    } catch (error) {
      if (!(error instanceof OutputError)) throw error
      outputError = error
      // A RequestError rolls back the transaction without counting as a store failure.
      throw new RequestError("internal", { cause: error })
    }
  }
  if (enabled && registry.isEmpty()) {
    try {
      await batcher.run(() =>
        printInTransaction({
          firstKey: createFirstKey(db, context),
          setupLink: createSetupLink(db, context),
        }),
      )
    } catch (error) {
      if (!outputError) throw error
      throw new UserError(
        `the first key cannot be shown: ${outputError.message}`,
        "no key was created: start the server where its output is visible, or use --no-setup and create keys with `databuddy key create`",
      )
    }
    registry.refresh()
    return
  }
  try {
    if (enabled) await batcher.run(() => printInTransaction({ setupLink: createSetupLink(db, context) }))
    else print({})
  } catch (error) {
    // The server starts even if the link cannot be created or shown.
    onFault(outputError ?? error)
    if (!outputError && !(error instanceof OutputError)) print({})
  }
}

function createFirstKey(db: Db, { environment, newId }: Context): FirstKey {
  const settings = { domain: "localhost", name: "localhost", allowedOrigins: [], anonymize: "off" as const }
  const grant = {
    name: "first key",
    scopes: [...scopes],
    websites: null,
    rateLimit: null,
    expiresAt: null,
  }
  const now = environment.now()
  const { id: websiteId } = createWebsite(db, newId(), settings, now)
  return { websiteId, key: createKey(db, newId(), grant, environment.random, now).secret }
}

/** Returns the path of a new setup link, or undefined if there is already an owner. */
function createSetupLink(db: Db, { environment }: Context): string | undefined {
  if (hasOwner(db)) return undefined
  return newInviteJson(createInvite(db, "setup", null, environment.random, environment.now())).path
}

function startMessage(
  { url, path, publicUrl, tls, isWaiting }: Address,
  { setupLink, firstKey }: Secrets,
): string {
  const listens = isWaiting ? `will listen on ${url} as soon as it has a certificate,` : `listens on ${url}`
  const first = `databuddy ${version} ${listens} and stores data in ${path}\n`
  const origin = publicUrl ?? tls?.withCertificateName(url) ?? url.replace(wildcardAddress, "$1localhost")
  const setupText = setupLink === undefined ? "" : setupMessage(origin + setupLink)
  const sendText = firstKey ? sendMessage(origin, firstKey, tls?.curlFlags ?? "") : ""
  return setupText || sendText ? `${first}${setupText}${sendText}\n` : first
}

/** A server that listens on all addresses is shown as localhost, because not every client can connect to 0.0.0.0. */
const wildcardAddress = /^(http:\/\/)(?:0\.0\.0\.0|\[::\])/

function setupMessage(link: string): string {
  return `
Create your account (link works once, expires in 7 days):

  ${link}
`
}

function sendMessage(origin: string, { key, websiteId }: FirstKey, curlFlags: string): string {
  return `
Created the website localhost and an API key with all scopes. Copy the key now; it is not shown again:

  ${key}

Send an event:

  curl${curlFlags} -X POST "${origin}/track?website_id=${websiteId}" -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" -d '{"name":"hello","anonymousId":"me","sessionId":"my-visit","properties":{"from":"curl"}}'
`
}
