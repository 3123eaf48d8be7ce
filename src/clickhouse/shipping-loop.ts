import type { Random } from "../environment.ts"
import { UserError } from "../errors.ts"
import type { StepResult } from "./shipper.ts"

export interface ShippingLoopDeps {
  /** Takes one step. See `Shipper`. */
  step: () => Promise<StepResult>
  /** Resolves after `ms`, or earlier if the loop is stopped. */
  sleep: (ms: number) => Promise<void>
  random: Random
  /** Called after each step in which the cluster acknowledged something. */
  onShipped: (events: number) => void
  onFailure: (error: Error, hint: string | undefined, retryMs: number) => void
}

/** Pause in ms when no full batch is waiting, because each insert creates a part that the cluster must merge. */
const idleInterval = 5_000
/** Delay in ms before the first retry. It doubles with each consecutive failure. */
const firstRetry = 1_000
const longestRetry = 60_000

/**
 * Runs steps until it is stopped. Retries after any failure, because the cluster might respond again, and missing
 * migrations might be applied in the meantime.
 */
export class ShippingLoop {
  #stopping = false

  constructor(private readonly deps: ShippingLoopDeps) {}

  async run(): Promise<void> {
    const { step, sleep, random, onShipped, onFailure } = this.deps
    for (let failures = 0; !this.#stopping; ) {
      try {
        const { hasShipped, events, isDone } = await step()
        failures = 0
        if (hasShipped) onShipped(events)
        if (isDone && !this.#stopping) await sleep(idleInterval)
      } catch (error) {
        if (this.#stopping) return
        const wait = retryDelay(failures++, random)
        onFailure(error as Error, error instanceof UserError ? error.hint : undefined, wait)
        await sleep(wait)
      }
    }
  }

  /** Stops after the current step. */
  stop(): void {
    this.#stopping = true
  }
}

/**
 * Returns the delay in ms from a failure to the next attempt. Up to half of the delay is random, so that not all
 * servers retry at the same time.
 */
export function retryDelay(previousFailures: number, random: Random): number {
  const delay = Math.min(longestRetry, firstRetry * 2 ** previousFailures)
  const [byte = 0] = random(new Uint8Array(1))
  return Math.round((delay / 2) * (1 + byte / 255))
}
