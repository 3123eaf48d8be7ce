import type { StorageArea } from "./storage-area.ts"

/** A session ends after this many ms without an event or activity. */
const sessionIdle = 30 * 60_000
/**
 * Minimum time between extensions of a session because of activity, in ms. Not every activity extends the session,
 * because writing to storage is slower than reading from it.
 */
const activityGap = 10_000
/**
 * Format of the IDs that are accepted from the page's URL. Other IDs are ignored, because any website can link to the
 * page with any IDs.
 */
const idPattern = /^[\w.-]{1,128}$/

const sessionKeys = ["did_session", "did_session_timestamp", "did_session_start"]
/** This script does not write `did_params`, but other versions of Databuddy's script do. */
const visitorKeys = ["did", "did_profile", "did_params"]
const optOutKeys = ["databuddy_opt_out", "databuddy_disabled"]
const consentKey = "did_consent"

/** Returns a random UUID. `crypto.randomUUID` cannot be used, because it only exists on HTTPS pages. */
export function createId(): string {
  const digit = () => ((crypto.getRandomValues(new Uint8Array(1))[0] ?? 0) % 16).toString(16)
  return "xxxxxxxx-xxxx-4xxx-axxx-xxxxxxxxxxxx".replace(/x/g, digit)
}

export type Identity = ReturnType<typeof createIdentity>

/**
 * Manages the IDs of the visitor, session and profile, and the visitor's choices about tracking. `local` keeps values
 * across visits, `session` only as long as the tab is open.
 */
export function createIdentity(local: StorageArea, session: StorageArea, now: () => number) {
  const removeAll = (area: StorageArea, keys: string[]) => keys.forEach(area.remove)
  const setSession = (id: string) => {
    session.set("did_session", id)
    session.set("did_session_start", String(now()))
    session.set("did_session_timestamp", String(now()))
  }
  const idle = () => now() - Number(session.get("did_session_timestamp"))
  const self = {
    /** Adopts the visitor and session IDs in the query string, if a link on another domain has added them. */
    adopt: (params: URLSearchParams) => {
      const visitor = params.get("anonId") ?? ""
      const id = params.get("sessionId") ?? ""
      if (idPattern.test(visitor)) local.set("did", visitor)
      if (idPattern.test(id) && id !== session.get("did_session")) setSession(id)
    },
    visitor: () => {
      const known = local.get("did")
      if (known) return known
      const id = `anon_${createId()}`
      local.set("did", id)
      return id
    },
    /** Extends the session unless it is over. Fast enough to be called on every scroll event. */
    extend: () => {
      if (idle() > activityGap && idle() <= sessionIdle) session.set("did_session_timestamp", String(now()))
    },
    /** Returns the current session, or starts a new one after 30 minutes without an event or activity. */
    session: () => {
      if (idle() > sessionIdle || !session.get("did_session")) setSession(`sess_${createId()}`)
      session.set("did_session_timestamp", String(now()))
      return {
        sessionId: session.get("did_session"),
        sessionStartTime: Number(session.get("did_session_start")),
      }
    },
    profile: () => local.get("did_profile"),
    setProfile: (id: string | undefined) =>
      id === undefined ? local.remove("did_profile") : local.set("did_profile", id),
    /** Removes the IDs of the visitor, session and profile. */
    clear: () => {
      removeAll(local, visitorKeys)
      removeAll(session, sessionKeys)
    },
    isOptedOut: () => optOutKeys.some((key) => local.get(key) === "true"),
    optOut: () => {
      self.clear()
      local.remove(consentKey)
      for (const key of optOutKeys) local.set(key, "true")
    },
    hasConsent: () => local.get(consentKey) !== null,
    /**
     * Ends an opt-out. If `remember` is true, also stores the consent, so that a website that waits for consent does
     * not ask again on the next page.
     */
    optIn: (remember: boolean | undefined) => {
      removeAll(local, optOutKeys)
      if (remember) local.set(consentKey, "true")
    },
  }
  return self
}
