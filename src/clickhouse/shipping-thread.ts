import type { Environment } from "../environment.ts"
import { messageOf } from "../errors.ts"
import type { Log } from "../log.ts"
import type { ShippingState } from "../metrics/metrics.ts"
import { ServerLock } from "../store/db/server-lock.ts"
import { removedTotals } from "../store/removed-days.ts"
import { applyShippingChange, readShipping, shippingLag } from "../store/shipping.ts"
import type { Store } from "../store/store.ts"
import { type ClusterAddress, clusterName } from "./address.ts"
import { shippingLockError, shippingLockPath } from "./lock.ts"
import type { ShippingMessage, ShippingRequest } from "./messages.ts"

/** Set by src/build.ts. */
declare const BUILD_COMMIT: string | undefined

/**
 * The binary bundles all code into one file that resolves paths as if it were at the repository's root. A worker is
 * therefore found by the path of its source file.
 */
const workerFile =
  typeof BUILD_COMMIT === "string" ? "./src/clickhouse/shipping-worker.ts" : "./shipping-worker.ts"

/** Delay in ms before a failed thread is restarted, and between attempts to take the lock. */
const restartDelay = 5_000
/**
 * A running insert can delay the shutdown by at most this many ms. Unacknowledged events are sent again after the next
 * start.
 */
const closeTimeout = 2_000

export interface ClusterLogin {
  address: ClusterAddress
  password: string
}

/** See `ShipperDeps`. */
interface ShippingOptions {
  keepLocal: number | undefined
  isShared: boolean
}

/**
 * Ships events to a cluster in a separate thread, so that neither reading events nor waiting for the cluster delays
 * commits. The thread asks the main thread to store its progress, because only the main thread writes to the file.
 */
export class ShippingThread {
  readonly name: string
  readonly state: ShippingState
  #worker: Worker | undefined
  #lock: ServerLock | undefined
  #timer: Timer | undefined
  #closing: (() => void) | undefined
  #hasShipped = false

  constructor(
    private readonly store: Pick<Store, "db" | "batcher">,
    private readonly login: ClusterLogin,
    private readonly options: ShippingOptions,
    private readonly environment: Environment,
    private readonly log: Log,
  ) {
    this.name = clusterName(login.address)
    const { db } = store
    this.state = {
      shipped: 0,
      lastSuccess: readShipping(db)?.shippedAt ?? 0,
      lastFailure: 0,
      failures: 0,
      failure: undefined,
      lag: () => shippingLag(db, readShipping(db)?.shippedId ?? 0),
      removed: () => removedTotals(db),
    }
  }

  /**
   * Starts shipping. If another process, such as `databuddy clickhouse load`, is shipping events from this file, the
   * server accepts events anyway, and this method retries in the background.
   */
  start(): void {
    const { pid } = this.environment
    try {
      this.#lock = new ServerLock(shippingLockPath(this.store.db.name), pid, shippingLockError)
    } catch (error) {
      const { message } = error as Error
      if (message !== this.state.failure)
        this.log("warn", "events are not shipped", { cluster: this.name, error: message })
      this.#recordFailure(message)
      this.#timer = setTimeout(() => this.start(), restartDelay)
      return
    }
    this.#startWorker()
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    if (this.#worker) {
      const closed = new Promise<void>((resolve) => {
        this.#closing = resolve
        setTimeout(resolve, closeTimeout)
      })
      this.#post({ type: "close" })
      await closed
      this.#worker.terminate()
      this.#worker = undefined
    }
    this.#lock?.release()
  }

  #startWorker(): void {
    const worker = new Worker(new URL(workerFile, import.meta.url))
    worker.onerror = ({ message }) => this.#restart(message)
    worker.onmessage = ({ data }: MessageEvent<ShippingMessage>) => this.#receive(data)
    this.#worker = worker
    this.#post({ type: "open", path: this.store.db.name, ...this.login, ...this.options })
  }

  #restart(message: string): void {
    if (this.#closing) return
    this.#worker?.terminate()
    this.#worker = undefined
    this.#recordFailure(message)
    this.log("error", "the thread that ships events to the cluster failed and will be restarted", {
      cluster: this.name,
      error: message,
    })
    this.#timer = setTimeout(() => this.#startWorker(), restartDelay)
  }

  #post(request: ShippingRequest): void {
    this.#worker?.postMessage(request)
  }

  #receive(message: ShippingMessage): void {
    if (message.type === "write") void this.#write(message)
    else if (message.type === "shipped") this.#recordSuccess(message.events)
    else if (message.type === "log") this.log(message.level, message.message, message.fields)
    else if (message.type === "closed") this.#closing?.()
    else {
      const { message: error, hint, retryMs } = message
      // A long outage is logged only once.
      if (error !== this.state.failure) {
        const retryInSeconds = Math.ceil(retryMs / 1_000)
        this.log("warn", "events are not shipped", { cluster: this.name, error, hint, retryInSeconds })
      }
      this.#recordFailure(error)
    }
  }

  async #write({ id, change }: Extract<ShippingMessage, { type: "write" }>): Promise<void> {
    const { db, batcher } = this.store
    let error: string | undefined
    try {
      await batcher.run(() => applyShippingChange(db, change), 0)
    } catch (failure) {
      error = messageOf(failure)
    }
    this.#post({ type: "written", id, error })
  }

  #recordSuccess(events: number): void {
    const { state } = this
    const { name: cluster } = this
    if (state.failure !== undefined) this.log("info", "events are shipped again", { cluster })
    else if (!this.#hasShipped) this.log("info", "events are shipped", { cluster })
    this.#hasShipped = true
    state.failure = undefined
    state.shipped += events
    state.lastSuccess = this.environment.now()
  }

  #recordFailure(message: string): void {
    const { state } = this
    state.failure = message
    state.failures++
    state.lastFailure = this.environment.now()
  }
}
