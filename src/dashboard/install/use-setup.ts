import { useEffect, useState } from "preact/hooks"
import { useApp } from "../state/app.ts"
import { fetchLatestEvent } from "./latest-event.ts"

/**
 * `waiting` if a website has never received an event. `done` if it has received one, or if the setup instructions do
 * not apply to it. `unknown` until this has been looked up.
 */
export type SetupState = "unknown" | "waiting" | "done"

/**
 * Checks whether a website has ever received an event. `website` is an ID, `none` or `all`. Nothing is checked unless
 * the report is empty (`isEmpty`). Once the state is `waiting`, it stays that way until `finish` is called, because the
 * user is reading the instructions.
 */
export function useSetup(website: string, isEmpty: boolean): { setup: SetupState; finish: () => void } {
  const { api, session, now } = useApp()
  const [lookup, setLookup] = useState<{ website: string; setup: SetupState }>()
  // Share links show only reports, and there are no setup instructions for events without a website.
  const isEnabled =
    isEmpty && website !== "none" && session.me.value?.user != null && session.sites.value.length > 0
  useEffect(() => {
    if (!isEnabled) return
    const controller = new AbortController()
    fetchLatestEvent(api, website, now(), controller.signal).then(
      (event) => setLookup({ website, setup: event ? "done" : "waiting" }),
      // The panels already show the error.
      () => setLookup({ website, setup: "done" }),
    )
    return () => controller.abort()
  }, [api, website, isEnabled, now])
  const result = lookup?.website === website ? lookup.setup : undefined
  const setup = result === "waiting" || isEnabled ? (result ?? "unknown") : "done"
  return { setup, finish: () => setLookup({ website, setup: "done" }) }
}
