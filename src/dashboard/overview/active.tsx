import { useEffect, useState } from "preact/hooks"
import { useFormat } from "../components/controls/use-format.ts"
import { useApp } from "../state/app.ts"

/** Who counts as active: visitors with an event in this many ms. */
const activeFor = 300_000
/** ms between two looks. */
const lookEvery = 30_000

/** How many visitors are active now. */
export function ActiveNow() {
  const { api, view, now } = useApp()
  const format = useFormat()
  const [count, setCount] = useState<number>()
  const { website } = view.value
  useEffect(() => {
    const stop = new AbortController()
    const look = async () => {
      const startDate = new Date(now() - activeFor).toISOString()
      const endDate = new Date(now() + 60_000).toISOString()
      const body = { parameters: [{ name: "events", measures: ["users"] }], startDate, endDate }
      try {
        const path = `query?website_id=${encodeURIComponent(website)}`
        const { data } = await api.send<{ data: { data: { users: number }[] }[] }>(
          "POST",
          path,
          body,
          stop.signal,
        )
        setCount(data[0]?.data[0]?.users)
      } catch {
        // The panels of the page say what is wrong.
      }
    }
    void look()
    const timer = setInterval(() => {
      if (!document.hidden) void look()
    }, lookEvery)
    return () => {
      stop.abort()
      clearInterval(timer)
    }
  }, [api, website, now])
  return (
    <p class={`active-now ${count ? "some" : ""}`} title="Visitors with an event in the last 5 minutes">
      <span class="dot" aria-hidden="true" /> {count === undefined ? "…" : format.count(count)} active now
    </p>
  )
}
