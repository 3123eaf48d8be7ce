import { useState } from "preact/hooks"
import { useApp } from "./app.ts"
import { usePolling } from "./polling.ts"

/** A rejected request, as returned by the API. */
export interface RejectedRequest {
  /** ISO 8601 in UTC */
  time: string
  path: string
  /** The ID as sent; null if the request named none or several. */
  websiteId: string | null
  status: number
  reason: string
  events: number | null
  names: string[]
  keys: string[]
  /**
   * The host (or an app's whole origin) to allow, if the reason is `origin_not_allowed`; null if the request had no
   * origin.
   */
  origin: string | null
  /** How to fix the request. */
  advice: string
}

/** Maximum number of rejected requests that the server holds in memory. */
export const maxRequests = 1_000
/** Default number of ms between polls. */
const defaultInterval = 10_000
/** Value of the URL parameter `site` for requests that name no website, or several. */
export const noWebsite = "unnamed"

/** Whether a request matches the URL parameter `site`: a website ID, `noWebsite`, or '' for all. */
export function matchesSite({ websiteId }: RejectedRequest, site: string): boolean {
  return site === "" || (site === noWebsite ? websiteId === null : websiteId === site)
}

/** Titles of the reasons whose codes are not clear enough on their own. */
const titles: Partial<Record<string, string>> = {
  invalid_shape: "Invalid fields",
  website_id_missing: "No website ID",
  website_unknown: "Unknown website ID",
  website_mismatch: "Event for another website",
  client_id_missing: "No client ID",
  client_id_unknown: "Unknown client ID",
  client_id_paused: "Website is paused",
  credential_missing: "No API key or website ID",
  key_malformed: "Malformed API key",
  key_unknown: "Unknown API key",
  key_disabled: "Disabled API key",
  key_revoked: "Revoked API key",
  key_expired: "Expired API key",
  key_website_mismatch: "API key is for another website",
  scope_missing: "API key lacks a permission",
  page_identify_off: "Pages cannot identify visitors",
  too_many_failed_credentials: "Too many wrong API keys",
  row_refused: "Data rejected by the database",
}

/**
 * Returns the title of a reason. If a reason is not in `titles`, its code is turned into words: `origin_not_allowed`
 * becomes “Origin not allowed”.
 */
export function reasonText(reason: string): string {
  const title = Object.hasOwn(titles, reason) ? titles[reason] : undefined
  if (title) return title
  const text = reason.replaceAll("_", " ")
  return text.charAt(0).toUpperCase() + text.slice(1)
}

export interface RejectedRequestsState {
  /** Newest first; undefined while loading. If a poll fails, the requests of the last successful poll remain. */
  requests: readonly RejectedRequest[] | undefined
  /** The error of the last poll, if it failed. */
  error: unknown
  /** Time of the last successful poll, in Unix ms. */
  updatedAt: number | undefined
  isPaused: boolean
  setPaused: (isPaused: boolean) => void
  refetch: () => void
}

/** The rejected requests, updated while the page is visible. `path`: the path under /v1. `interval`: ms. */
export function useRejectedRequests({
  path = "refusals",
  interval = defaultInterval,
} = {}): RejectedRequestsState {
  const { api, now } = useApp()
  const [requests, setRequests] = useState<readonly RejectedRequest[]>()
  const [error, setError] = useState<unknown>()
  const [updatedAt, setUpdatedAt] = useState<number>()
  const [isPaused, setPaused] = useState(false)
  const [round, setRound] = useState(0)
  const poll = async (signal: AbortSignal) => {
    if (isPaused) return
    try {
      setRequests((await api.get<{ refusals: RejectedRequest[] }>(path, signal)).refusals)
      setUpdatedAt(now())
      setError(undefined)
    } catch (failure) {
      if (!signal.aborted) setError(failure)
    }
  }
  usePolling(poll, interval, [api, now, path, isPaused, round])
  return { requests, error, updatedAt, isPaused, setPaused, refetch: () => setRound((count) => count + 1) }
}
