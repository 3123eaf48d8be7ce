import type { ComponentChildren } from "preact"
import { useEffect } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import type { RejectedRequest } from "../../state/rejected-requests.ts"
import { useResource } from "../../state/resource.ts"
import { useAction } from "../../state/use-action.ts"
import { useFormat } from "../controls/use-format.ts"
import { useKeepFocus } from "./states.tsx"

/** Maximum number of hosts to list, most recently rejected first. */
const maxHosts = 5

interface Website {
  id: string
  domain: string
  allowedOrigins: string[]
}

interface RejectedOrigin {
  website: string
  origin: string
  /** Newest first. */
  requests: RejectedRequest[]
}

interface RejectedOriginsProps {
  requests: readonly RejectedRequest[]
  /** Called when a host has been allowed. */
  onAllowed?: () => void
  /** Called on the first render and when `hasHosts` changes. `hasHosts` is false if the list is empty. */
  onChange?: (hasHosts: boolean) => void
  /** Wraps the list. Not called if the list is empty. */
  children?: (list: ComponentChildren) => ComponentChildren
}

/**
 * Lists the hosts whose requests were rejected, most recently rejected first. For owners, each host has a button that
 * allows it, and hosts that have been allowed since are left out.
 */
export function RejectedOrigins({
  requests,
  onAllowed,
  onChange,
  children = (list) => list,
}: RejectedOriginsProps) {
  const { session, now } = useApp()
  const format = useFormat()
  const { data, refetch } = useResource<{ websites: Website[] }>(session.isOwner ? "websites" : undefined)
  const origins = originsOf(requests).filter(({ website, origin }) => {
    const settings = data?.websites.find(({ id }) => id === website)
    return !settings || !isAllowed(settings, origin)
  })
  const hasHosts = origins.length > 0
  useEffect(() => onChange?.(hasHosts), [hasHosts])
  if (!hasHosts) return null
  const list = (
    <ul class="rejected-origins">
      {origins.slice(0, maxHosts).map(({ website, origin, requests: [newest, ...others] }) => (
        <li key={`${website} ${origin}`}>
          <p>
            <strong>{origin}</strong>{" "}
            <span class="muted">
              {session.nameOf(website)}, {format.countOf(others.length + 1, "request")}
              {newest && `, last ${format.ago(newest.time, now())}`}
            </span>
          </p>
          {session.isOwner && (
            <AllowButton
              website={website}
              origin={origin}
              onAllowed={() => {
                refetch()
                onAllowed?.()
              }}
            />
          )}
        </li>
      ))}
      {origins.length > maxHosts && (
        <li class="muted">{format.countOf(origins.length - maxHosts, "more host")}</li>
      )}
    </ul>
  )
  return <>{children(list)}</>
}

function originsOf(requests: readonly RejectedRequest[]): RejectedOrigin[] {
  const groups = new Map<string, RejectedOrigin>()
  for (const request of requests) {
    const { websiteId: website, origin, reason } = request
    if (reason !== "origin_not_allowed" || website === null || origin === null) continue
    const key = JSON.stringify([website, origin])
    const group = groups.get(key) ?? { website, origin, requests: [] }
    group.requests.push(request)
    groups.set(key, group)
  }
  return [...groups.values()]
}

/**
 * Applies the server's rule for allowing an origin to the current settings, which might have changed since the request
 * was rejected.
 */
function isAllowed({ domain, allowedOrigins }: Website, origin: string): boolean {
  return origin === domain || origin.endsWith(`.${domain}`) || allowedOrigins.includes(origin)
}

interface AllowButtonProps {
  website: string
  origin: string
  onAllowed: () => void
}

function AllowButton({ website, origin, onAllowed }: AllowButtonProps) {
  const { api, toasts } = useApp()
  const button = useKeepFocus()
  const { isBusy, run } = useAction(async () => {
    const path = `websites/${encodeURIComponent(website)}`
    // Reads the current list, because someone else might have changed it since the page loaded.
    const { allowedOrigins } = (await api.get<{ website: Website }>(path)).website
    await api.send("PATCH", path, { allowedOrigins: [...allowedOrigins, origin] })
    toasts.show(`${origin} can send events now. Requests without an Origin header need an API key.`)
    onAllowed()
  })
  return (
    <button
      type="button"
      ref={button}
      class="button small"
      aria-label={`Allow this host: ${origin}`}
      aria-disabled={isBusy}
      onClick={run}
    >
      Allow this host
    </button>
  )
}
