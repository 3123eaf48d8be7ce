import { useEffect, useState } from "preact/hooks"
import { useApp } from "../state/app.ts"

/** A refused request, as the API shows it. */
export interface RejectedRequest {
  /** ISO 8601 in UTC */
  time: string
  path: string
  /** As it was sent; null: none was named, or several. */
  websiteId: string | null
  status: number
  reason: string
  events: number | null
  names: string[]
  keys: string[]
  /** What to change. */
  advice: string
}

/** As many as the server keeps. */
export const mostKept = "1,000"
/** ms between two looks. */
const lookEvery = 10_000
/** In the address: those that name no website. */
export const unnamed = "unnamed"

/** `site`: '' for all. */
export function isOfSite({ websiteId }: RejectedRequest, site: string): boolean {
  return site === "" || (site === unnamed ? websiteId === null : websiteId === site)
}

/** `origin_not_allowed` → Origin not allowed */
export function reasonText(reason: string): string {
  const text = reason.replaceAll("_", " ")
  return text.charAt(0).toUpperCase() + text.slice(1)
}

export interface Kept {
  /** The newest first; undefined: not known yet. What is known stays while the server does not answer. */
  refusals: readonly RejectedRequest[] | undefined
  /** Why the last look failed. */
  error: unknown
  /** Unix ms, of the last look that did not. */
  updatedAt: number | undefined
  isPaused: boolean
  setPaused: (isPaused: boolean) => void
  again: () => void
}

/** The refused requests, looked for again and again while somebody can see the page. */
export function useRejectedRequests(): Kept {
  const { api, now } = useApp()
  const [refusals, setRefusals] = useState<readonly RejectedRequest[]>()
  const [error, setError] = useState<unknown>()
  const [updatedAt, setUpdatedAt] = useState<number>()
  const [isPaused, setPaused] = useState(false)
  const [round, setRound] = useState(0)
  useEffect(() => {
    const stop = new AbortController()
    const look = async () => {
      if (document.hidden) return
      try {
        setRefusals((await api.get<{ refusals: RejectedRequest[] }>("refusals", stop.signal)).refusals)
        setUpdatedAt(now())
        setError(undefined)
      } catch (failure) {
        if (!stop.signal.aborted) setError(failure)
      }
    }
    if (!isPaused) void look()
    const timer = setInterval(() => {
      if (!isPaused) void look()
    }, lookEvery)
    const onShown = () => {
      if (!isPaused) void look()
    }
    document.addEventListener("visibilitychange", onShown)
    return () => {
      stop.abort()
      clearInterval(timer)
      document.removeEventListener("visibilitychange", onShown)
    }
  }, [api, now, isPaused, round])
  return { refusals, error, updatedAt, isPaused, setPaused, again: () => setRound((count) => count + 1) }
}
