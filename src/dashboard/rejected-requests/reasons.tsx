import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { useApp } from "../state/app.ts"
import { useResource } from "../state/resource.ts"
import { type RejectedRequest, reasonText } from "./rejected.ts"

/** Different pieces of advice, and websites, that are listed for a reason: those that most requests have. */
const shownAdvice = 3
const shownSites = 3

/** Where the owner mends it: in the settings of what. */
const mendedIn: Record<string, "websites" | "keys"> = {
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
  refusals: readonly RejectedRequest[]
  /** The one that the list below shows; '': all. */
  shown: string
}

/** The reasons, the most frequent first. */
export function Reasons({ refusals, shown }: ReasonsProps) {
  const groups = [...Map.groupBy(refusals, ({ reason }) => reason)].sort(
    ([, one], [, other]) => other.length - one.length,
  )
  return (
    <ul class="refusals-reasons">
      {groups.map(([reason, some]) => (
        <Reason key={reason} reason={reason} refusals={some} isShown={reason === shown} />
      ))}
    </ul>
  )
}

interface ReasonProps {
  reason: string
  refusals: readonly RejectedRequest[]
  isShown: boolean
}

function Reason({ reason, refusals, isShown }: ReasonProps) {
  const { place, session, now } = useApp()
  const format = useFormat()
  const [newest] = refusals
  const advice = counted(refusals.map((one) => one.advice))
  const settings = session.isOwner ? mendedIn[reason] : undefined
  return (
    <li>
      <p class="refusals-count">
        {format.count(refusals.length)}
        <span class="hidden"> {refusals.length === 1 ? "request" : "requests"}</span>
      </p>
      <div class="refusals-reason">
        <h3>
          {reasonText(reason)} <span class="badge">{newest?.status}</span>
        </h3>
        {advice.slice(0, shownAdvice).map(([text, count]) => (
          <p key={text}>
            {text} {advice.length > 1 && <span class="muted">({format.count(count)})</span>}
          </p>
        ))}
        {advice.length > shownAdvice && (
          <p class="muted">{format.count(advice.length - shownAdvice)} other mistakes: see the list.</p>
        )}
        <Sites reason={reason} refusals={refusals} />
        {newest && <p class="muted">Last {format.ago(newest.time, now())}.</p>}
      </div>
      <div class="refusals-actions">
        {settings && (
          <Link class="button small" href={`/settings/${settings}`}>
            {settings === "websites" ? "To the websites" : "To the keys"}
          </Link>
        )}
        <Link
          class="button small"
          href={place.with({ reason: isShown ? undefined : reason })}
          label={isShown ? "List all" : `List only these: ${reasonText(reason)}`}
        >
          {isShown ? "List all" : "List only these"}
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

/** For which websites the requests were, and whose pages those take, where that is why. */
function Sites({ reason, refusals }: { reason: string; refusals: readonly RejectedRequest[] }) {
  const { session } = useApp()
  const format = useFormat()
  const isOrigin = reason === "origin_not_allowed"
  const { data } = useResource<{ websites: Website[] }>(isOrigin && session.isOwner ? "websites" : undefined)
  const sites = counted(refusals.flatMap(({ websiteId }) => websiteId ?? []))
  if (sites.length === 0) return null
  return (
    <ul class="muted">
      {sites.slice(0, shownSites).map(([id, count]) => {
        const website = data?.websites.find((one) => one.id === id)
        return (
          <li key={id}>
            For {session.nameOf(id)}: {format.count(count)}.{website && ` ${takesText(website)}`}
          </li>
        )
      })}
      {sites.length > shownSites && <li>And for {format.count(sites.length - shownSites)} others.</li>}
    </ul>
  )
}

function takesText({ domain, allowedOrigins }: Website): string {
  const others = allowedOrigins.length === 0 ? " alone" : `, and of ${allowedOrigins.join(", ")}`
  return `It takes events from pages of ${domain} and its subdomains${others}.`
}

/** How often each is there, the most frequent first. */
function counted(texts: readonly string[]): [string, number][] {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return [...counts].sort(([, one], [, other]) => other - one)
}
