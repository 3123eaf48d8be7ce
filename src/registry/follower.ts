import type { Environment } from "../environment.ts"
import { messageOf, UserError } from "../errors.ts"
import { SchemaCheck } from "../http/validation.ts"
import type { Log } from "../log.ts"
import { confirmRegistry, registrySource, storeRegistry } from "../store/registry-copy.ts"
import type { Store } from "../store/store.ts"
import { registrySchema } from "./schema.ts"

/** ms between two requests to the first node: a revoked key works for that long on the others. */
export const registryPollInterval = 5_000
/** ms within which the first node has to answer. */
const timeout = 10_000
/** ms between two writes of the time of the copy if nothing changes. */
const confirmInterval = 60_000

export interface RegistryLogin {
  /** Origin and --base-path of the server that has the registry. */
  url: string
  secret: string
}

/** The copy of the registry of another server. Times are Unix ms; 0: never. */
export interface RegistryState {
  url: string
  /** The copy was equal then. */
  copiedAt: number
  failures: number
  /** Why the last attempt failed. */
  failure: string | undefined
}

/** Copies websites, keys and users from another server. If that does not answer, the last copy stays in use. */
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
    this.state = { url: login.url, copiedAt, failures: 0, failure: undefined }
  }

  /** Makes the first copy, unless there is one. Throws a UserError: without keys, all events would be rejected. */
  async open(): Promise<void> {
    if (this.state.copiedAt > 0) return
    await this.poll()
    if (this.state.copiedAt > 0) return
    throw new UserError(
      `the websites, keys and users of ${this.login.url} cannot be copied: ${this.state.failure}`,
      "the first start needs them: check --registry and the secret, and that the other server runs with the same secret and without --registry",
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

  /** Copies what has changed. Never throws: a failure is logged once. */
  poll(): Promise<void> {
    this.#polling = this.#copy().then(
      () => this.#succeed(),
      (error: unknown) => this.#fail(messageOf(error)),
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
      signal: AbortSignal.timeout(timeout),
    })
    const now = this.environment.now()
    if (response.status === 304) {
      if (now - this.#confirmedAt < confirmInterval) return
      await batcher.run(() => confirmRegistry(db, now), 0)
      this.#confirmedAt = now
      return
    }
    const text = await response.text()
    if (response.status !== 200) throw new Error(`it answered ${response.status}: ${text.slice(0, 200)}`)
    const copy: unknown = JSON.parse(text)
    if (!this.#check.accepts(copy)) throw new Error("its answer has another format: update both servers")
    await batcher.run(() => storeRegistry(db, copy, response.headers.get("etag") ?? "", now), 0)
    registry.refresh()
    this.#confirmedAt = now
  }

  #succeed(): void {
    const { state } = this
    state.copiedAt = this.environment.now()
    if (state.failure !== undefined) this.log("info", "the registry is copied again", { url: state.url })
    state.failure = undefined
  }

  #fail(failure: string): void {
    const { state } = this
    state.failures++
    if (failure !== state.failure)
      this.log("warn", "the registry is not copied: the last copy stays in use", {
        url: state.url,
        error: failure,
      })
    state.failure = failure
  }
}
