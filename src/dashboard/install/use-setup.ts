import { useEffect, useState } from "preact/hooks"
import { useApp } from "../state/app.ts"
import { newestOf } from "./first-events.ts"

/** Whether a website has ever had an event. */
export type SetupState = "unknown" | "nothing" | "begun"

/**
 * Looks whether there was ever an event, where nothing is shown of the range. `website`: an id, or `all`. `begin`: says that
 * there is one now.
 */
export function useSetup(website: string, isEmpty: boolean): { beginning: SetupState; begin: () => void } {
  const { api, session, now } = useApp()
  const [known, setKnown] = useState<{ website: string; beginning: SetupState }>()
  // A share link shows reports alone, and what comes without a website takes no lines of one.
  const isAsked =
    isEmpty && website !== "none" && session.me.value?.user != null && session.sites.value.length > 0
  useEffect(() => {
    if (!isAsked) return
    const stop = new AbortController()
    newestOf(api, website, now(), stop.signal).then(
      (event) => setKnown({ website, beginning: event ? "begun" : "nothing" }),
      // The panels say what is wrong.
      () => setKnown({ website, beginning: "begun" }),
    )
    return () => stop.abort()
  }, [api, website, isAsked, now])
  const found = known?.website === website ? known.beginning : undefined
  // Where there was nothing, it stays so until somebody says that it has begun: they read how.
  const beginning = found === "nothing" || isAsked ? (found ?? "unknown") : "begun"
  return { beginning, begin: () => setKnown({ website, beginning: "begun" }) }
}
