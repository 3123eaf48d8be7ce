import { useEffect, useState } from "preact/hooks"
import { useApp } from "../state/app.ts"
import { fetchLatestEvent } from "./latest-event.ts"

/**
 * Whether a website is still waiting for its first event. The state is also `done` if the setup instructions do not
 * apply.
 */
export type SetupState = "unknown" | "waiting" | "done"

/**
 * Checks whether a website has ever received an event. `website`: an ID or `all`. `isEmpty`: whether the current range
 * has no events; if it has some, there is nothing to check. Once the state is `waiting`, it stays that way until
 * `finish` is called, because the user is reading the instructions.
 */
export function useSetup(website: string, isEmpty: boolean): { setup: SetupState; finish: () => void } {
  const { api, session, now } = useApp()
  const [lookup, setLookup] = useState<{ website: string; setup: SetupState }>()
  // Share links only show reports, and events without a website have no instructions.
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
