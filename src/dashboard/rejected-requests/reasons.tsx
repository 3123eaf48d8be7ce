import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { RejectedOrigins } from "../components/layout/rejected-origins.tsx"
import { useApp } from "../state/app.ts"
import { type RejectedRequest, reasonText } from "../state/rejected-requests.ts"
import { useResource } from "../state/resource.ts"

/** Maximum number of fixes, and of websites, to list per reason; the most frequent ones come first. */
const shownAdvice = 3
const shownSites = 3

/** The settings page where an owner can fix the cause of a rejection, keyed by reason. */
const settingsPages: Record<string, "websites" | "keys"> = {
  origin_not_allowed: "websites",
  website_unknown: "websites",
  website_paused: "websites",
  key_malformed: "keys",
  key_unknown: "keys",
  key_disabled: "keys",
  key_revoked: "keys",
  key_expired: "keys",
  key_website_mismatch: "keys",
  credential_missing: "keys",
  scope_missing: "keys",
}

interface ReasonsProps {
  requests: readonly RejectedRequest[]
  /** The reason that filters the list below; '' for none. */
  selected: string
}

/** The reasons, most frequent first. */
export function Reasons({ requests, selected }: ReasonsProps) {
  const groups = [...Map.groupBy(requests, ({ reason }) => reason)].sort(
    ([, a], [, b]) => b.length - a.length,
  )
  return (
    <ul class="rejected-reasons">
      {groups.map(([reason, group]) => (
        <Reason key={reason} reason={reason} requests={group} isSelected={reason === selected} />
      ))}
    </ul>
  )
}

interface ReasonProps {
  reason: string
  requests: readonly RejectedRequest[]
  isSelected: boolean
}

function Reason({ reason, requests, isSelected }: ReasonProps) {
  const { router, session, now } = useApp()
  const format = useFormat()
  const [newest] = requests
  const advice = countOccurrences(requests.map(({ advice }) => advice))
  const settings = session.isOwner ? settingsPages[reason] : undefined
  return (
    <li>
      <p class="rejected-count">
        {format.count(requests.length)}
        <span class="hidden"> {requests.length === 1 ? "request" : "requests"}</span>
      </p>
      <div class="rejected-reason">
        <h3>
          {reasonText(reason)} <span class="badge">{newest?.status}</span>
        </h3>
        {advice.slice(0, shownAdvice).map(([text, count]) => (
          <p key={text}>
            {text} {advice.length > 1 && <span class="muted">({format.count(count)})</span>}
          </p>
        ))}
        {advice.length > shownAdvice && (
          <p class="muted">
            {format.count(advice.length - shownAdvice)} more. To see them, export the list below as CSV.
          </p>
        )}
        <Sites reason={reason} requests={requests} />
        <RejectedOrigins requests={requests} />
        {newest && <p class="muted">Last seen {format.ago(newest.time, now())}</p>}
      </div>
      <div class="rejected-actions">
        {settings && (
          <Link class="button small" href={`/settings/${settings}`}>
            {settings === "websites" ? "Website settings" : "API key settings"}
          </Link>
        )}
        <Link
          class="button small"
          href={router.hrefWith({ reason: isSelected ? undefined : reason })}
          label={isSelected ? "Clear filter" : `Filter: ${reasonText(reason)}`}
        >
          {isSelected ? "Clear filter" : "Filter"}
        </Link>
      </div>
    </li>
  )
}

interface Website {
  id: string
  domain: string
  allowedOrigins: string[]
}

/** The websites that the requests named and, for rejected origins, their allowed hosts. */
function Sites({ reason, requests }: { reason: string; requests: readonly RejectedRequest[] }) {
  const { session } = useApp()
  const format = useFormat()
  const isOrigin = reason === "origin_not_allowed"
  const { data } = useResource<{ websites: Website[] }>(isOrigin && session.isOwner ? "websites" : undefined)
  const sites = countOccurrences(requests.flatMap(({ websiteId }) => websiteId ?? []))
  if (sites.length === 0) return null
  return (
    <ul class="muted">
      {sites.slice(0, shownSites).map(([id, count]) => {
        const website = data?.websites.find((site) => site.id === id)
        return (
          <li key={id}>
            {session.nameOf(id)}: {format.count(count)}
            {website && ` · ${allowedText(website)}`}
          </li>
        )
      })}
      {sites.length > shownSites && <li>{format.countOf(sites.length - shownSites, "more website")}</li>}
    </ul>
  )
}

function allowedText({ domain, allowedOrigins }: Website): string {
  const others = allowedOrigins.map((origin) => `, ${origin}`).join("")
  return `Allowed: ${domain} and its subdomains${others}`
}

/** Returns the distinct strings with their counts, most frequent first. */
function countOccurrences(texts: readonly string[]): [string, number][] {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)
}
