import { useState } from "preact/hooks"
import { eventKinds } from "../../../event-kinds.ts"
import { useApp } from "../../state/app.ts"
import { usePolling } from "../../state/polling.ts"
import { runParameter } from "../../state/query-cache.ts"
import { useFormat } from "./use-format.ts"

/** How long a visitor counts as active after an event of any kind, in ms. */
const activeWindow = 300_000
/** How far a client's clock may be ahead, in ms. Events with a time this far in the future are also counted. */
const clockTolerance = 60_000
/** ms between two requests. */
const pollInterval = 30_000

/**
 * The number of currently active visitors. It is hidden in embedded pages, and from users and share links that are
 * limited to some pages, because they cannot see all kinds of events.
 */
export function ActiveVisitors() {
  const { session, embed } = useApp()
  return session.isLimited || embed ? null : <ActiveCount />
}

/** The number of active visitors, refreshed while the page is visible. */
function ActiveCount() {
  const { api, view, now } = useApp()
  const format = useFormat()
  const [count, setCount] = useState<number>()
  const { website } = view.value
  const poll = async (signal: AbortSignal) => {
    const startDate = new Date(now() - activeWindow).toISOString()
    const endDate = new Date(now() + clockTolerance).toISOString()
    const query = {
      website,
      parameter: { name: "events", measures: ["users"], kinds: eventKinds },
      body: { startDate, endDate },
    }
    try {
      const { rows } = await runParameter<{ users: number }>(api, query, signal)
      setCount(rows[0]?.users)
    } catch {
      // The panels on the page already show the error.
    }
  }
  usePolling(poll, pollInterval, [api, website, now])
  return (
    <p class={`active-now ${count ? "some" : ""}`} title="Visitors with an event in the last 5 minutes">
      <span class="dot" aria-hidden="true" /> {count === undefined ? "…" : format.count(count)} active now
    </p>
  )
}
