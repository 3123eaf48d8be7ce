import type { Environment } from "../environment.ts"
import { messageOf, UserError } from "../errors.ts"
import { SchemaCheck } from "../http/validation.ts"
import type { Log } from "../log.ts"
import { confirmRegistry, registrySource, reportProblem, storeRegistry } from "../store/registry-copy.ts"
import type { Store } from "../store/store.ts"
import { listWebsites } from "../store/websites.ts"
import { registrySchema } from "./schema.ts"

/**
 * Time between two requests to the first node, in ms. A revoked key can keep working on the other nodes for this long.
 */
export const registryPollInterval = 5_000
/** Time within which the first node must respond, in ms. */
const timeout = 10_000
/** Minimum time between two updates of the stored `copiedAt` while the registry does not change, in ms. */
const confirmInterval = 60_000
/** Maximum number of bytes in a response. A website, a key or a user takes up less than 1 KB. */
const maxAnswer = 67_108_864
/** Maximum number of bytes that are read from an error response. */
const maxError = 1_024

export interface RegistryLogin {
  /** Origin and --base-path of the server that has the registry. */
  url: string
  secret: string
}

/** The state of this server's copy of another server's registry. */
export interface RegistryState {
  url: string
  /** When the copy was last known to be up to date, in Unix ms. 0 if there is no copy yet. */
  copiedAt: number
  /** Number of failed attempts since the start of the server. */
  failures: number
  /** Why the last attempt failed. Undefined if it succeeded. */
  failure: string | undefined
  /** True if the last response was not accepted (see `storeRegistry`). The operator must then resolve the problem. */
  isRejected: boolean
}

/** Copies websites, keys and users from another server. If that server does not respond, the last copy stays in use. */
export class RegistryFollower {
  readonly state: RegistryState
  readonly #check = new SchemaCheck(registrySchema)
  #timer: Timer | undefined
  #polling: Promise<void> | undefined
  #confirmedAt = 0
  #isClosed = false

  constructor(
    private readonly store: Pick<Store, "db" | "batcher" | "registry">,
    private readonly login: RegistryLogin,
    private readonly environment: Environment,
    private readonly log: Log,
  ) {
    const copiedAt = registrySource(store.db)?.copiedAt ?? 0
    this.state = { url: login.url, copiedAt, failures: 0, failure: undefined, isRejected: false }
  }

  /**
   * Makes the first copy if there is none. Throws a UserError if this fails, because all events would be rejected
   * without keys.
   */
  async open(): Promise<void> {
    if (this.state.copiedAt === 0) await this.poll()
    if (this.state.copiedAt > 0) {
      this.#warnOfDailyIds()
      return
    }
    throw new UserError(
      `the websites, keys and users of ${this.login.url} cannot be copied: ${this.state.failure}`,
      this.state.isRejected
        ? "or start this server with --registry none to continue with its last copy"
        : "the first start needs them: check --registry and the secret, and that the other server runs with the same secret and without --registry",
    )
  }

  #warnOfDailyIds(): void {
    const daily = listWebsites(this.store.db).filter(({ anonymize }) => anonymize === "daily")
    if (daily.length === 0) return
    this.log(
      "warn",
      "with anonymize daily, a visitor counts once for each node: send all requests of a visitor to one node, or turn anonymize off",
      { websites: daily.map(({ id }) => id).join(", ") },
    )
  }

  start(): void {
    this.#timer = setTimeout(async () => {
      await this.poll()
      if (!this.#isClosed) this.start()
    }, registryPollInterval)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#polling
  }

  /** Copies the registry if it has changed. Never throws. Logs a failure unless it is the same as the previous one. */
  poll(): Promise<void> {
    this.#polling = this.#copy().then(
      () => this.#succeed(),
      (error: unknown) => this.#fail(error),
    )
    return this.#polling
  }

  async #copy(): Promise<void> {
    const { db, batcher, registry } = this.store
    const { url, secret } = this.login
    const etag = registrySource(db)?.etag ?? ""
    const response = await fetch(`${url}/v1/registry`, {
      headers: { Authorization: `Bearer ${secret}`, ...(etag !== "" && { "If-None-Match": etag }) },
      redirect: "error",
      // Checks certificates even if NODE_TLS_REJECT_UNAUTHORIZED is 0, because the response contains the hashes of all
      // keys.
      tls: { rejectUnauthorized: true },
      signal: AbortSignal.timeout(timeout),
    })
    const now = this.environment.now()
    if (response.status === 304) {
      if (!this.state.isRejected && now - this.#confirmedAt < confirmInterval) return
      await batcher.run(() => confirmRegistry(db, now), 0)
      this.#confirmedAt = now
      return
    }
    const isAnswer = response.status === 200
    const { text, isComplete } = await readText(response, isAnswer ? maxAnswer : maxError)
    if (!isAnswer) throw new Error(`it responded with ${response.status}: ${text.slice(0, 200)}`)
    if (!isComplete) throw new Error(`its response is longer than ${maxAnswer} bytes`)
    const copy: unknown = JSON.parse(text)
    if (!this.#check.accepts(copy))
      throw new Error("its response has a different format: update both servers")
    const problem = await batcher.run(
      () => storeRegistry(db, copy, response.headers.get("etag") ?? "", now),
      0,
    )
    if (problem) throw problem
    registry.refresh()
    this.#confirmedAt = now
  }

  #succeed(): void {
    const { state } = this
    state.copiedAt = this.environment.now()
    if (state.failure !== undefined) this.log("info", "the registry can be copied again", { url: state.url })
    state.failure = undefined
    state.isRejected = false
  }

  async #fail(error: unknown): Promise<void> {
    const { state, store } = this
    const isRejected = error instanceof UserError
    const failure = isRejected ? `${error.message}: ${error.hint}` : messageOf(error)
    const isNew = failure !== state.failure
    state.failures++
    state.failure = failure
    state.isRejected = isRejected
    if (!isNew) return
    const level = isRejected ? "error" : "warn"
    this.log(level, "the registry cannot be copied: the last copy stays in use", {
      url: state.url,
      error: failure,
    })
    if (!isRejected) return
    try {
      await store.batcher.run(() => reportProblem(store.db, failure), 0)
    } catch {
      // The failure is already in the state and in the log. The store reports failed writes.
    }
  }
}

/** Reads at most `maxBytes` of a response. `isComplete` is false if the response is longer. */
async function readText(
  response: Response,
  maxBytes: number,
): Promise<{ text: string; isComplete: boolean }> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > maxBytes) break
  }
  const text = Buffer.concat(chunks).subarray(0, maxBytes).toString("utf8")
  return { text, isComplete: bytes <= maxBytes }
}
