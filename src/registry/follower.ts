import type { Environment } from "../environment.ts"
import { messageOf, UserError } from "../errors.ts"
import { SchemaCheck } from "../http/validation.ts"
import type { Log } from "../log.ts"
import { confirmRegistry, registrySource, reportProblem, storeRegistry } from "../store/registry-copy.ts"
import type { Store } from "../store/store.ts"
import { listWebsites } from "../store/websites.ts"
import { registrySchema } from "./schema.ts"

/** ms between two requests to the first node: a revoked key works for that long on the others. */
export const registryPollInterval = 5_000
/** ms within which the first node has to answer. */
const timeout = 10_000
/** ms between two writes of the time of the copy if nothing changes. */
const confirmInterval = 60_000
/** Bytes of an answer: websites, keys and users have less than 1 KB each. */
const maxAnswer = 67_108_864
/** Bytes of an error that are read. */
const maxError = 1_024

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
  /** The last answer was not accepted: see `storeRegistry`. The previous copy stays in use until someone acts. */
  isRejected: boolean
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
    this.state = { url: login.url, copiedAt, failures: 0, failure: undefined, isRejected: false }
  }

  /** Makes the first copy, unless there is one. Throws a UserError: without keys, all events would be rejected. */
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

  /** Copies what has changed. Never throws: a failure is logged once. */
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
      // Also if NODE_TLS_REJECT_UNAUTHORIZED is 0: the answer contains the hashes of all keys.
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
    if (!isAnswer) throw new Error(`it answered ${response.status}: ${text.slice(0, 200)}`)
    if (!isComplete) throw new Error(`its answer is longer than ${maxAnswer} bytes`)
    const copy: unknown = JSON.parse(text)
    if (!this.#check.accepts(copy)) throw new Error("its answer has another format: update both servers")
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
    if (state.failure !== undefined) this.log("info", "the registry is copied again", { url: state.url })
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
    this.log(level, "the registry is not copied: the last copy stays in use", {
      url: state.url,
      error: failure,
    })
    if (!isRejected) return
    try {
      await store.batcher.run(() => reportProblem(store.db, failure), 0)
    } catch {
      // The state and the log have it; a failed write is reported by the store.
    }
  }
}

/** Reads at most `maxBytes` of a response. */
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
