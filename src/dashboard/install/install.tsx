import { useEffect, useState } from "preact/hooks"
import { CodeBlock } from "../components/controls/copy.tsx"
import { Form } from "../components/controls/form.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Skeleton } from "../components/layout/states.tsx"
import { messageOf } from "../state/api.ts"
import { useApp } from "../state/app.ts"
import { useResource } from "../state/resource.ts"
import type { Site } from "../state/session.ts"
import { type LatestEvent, useLatestEvent } from "./latest-event.ts"
import "./install.css"
import { curlSnippet, isLocal, nodeSnippet, pageSnippet } from "./snippets.ts"

/** ms for which the arrival message is shown before the overview replaces it. */
const redirectDelay = 5_000

/** Height of the arrival status in px. */
const boxHeight = 68

interface InstallProps {
  site: Site
  /** Called when the first event has arrived, to refetch the reports. */
  onArrival?: () => void
  /** Shows the overview. Undefined on the page that only shows the instructions. */
  onShow?: () => void
}

/** Setup instructions with the status of the first event. */
export function Install({ site, onArrival, onShow }: InstallProps) {
  const { isKnown, latest, hasStray } = useLatestEvent(site.id)
  const hasArrived = latest !== undefined
  useEffect(() => {
    if (!hasArrived || !onShow) return
    onArrival?.()
    const timer = setTimeout(onShow, redirectDelay)
    return () => clearTimeout(timer)
  }, [hasArrived])
  return (
    <>
      {isKnown || hasArrived || onShow ? (
        <ArrivalStatus site={site} latest={latest} onShow={onShow} />
      ) : (
        <div class="install-loading">
          <Skeleton height={boxHeight} />
        </div>
      )}
      {!hasArrived && hasStray && <StrayEvents site={site} />}
      <Snippets site={site} />
      {site.domain === "localhost" && <DomainForm site={site} />}
    </>
  )
}

interface ArrivalStatusProps {
  site: Site
  latest: LatestEvent | undefined
  onShow: (() => void) | undefined
}

function ArrivalStatus({ site, latest, onShow }: ArrivalStatusProps) {
  const { now } = useApp()
  const format = useFormat()
  return (
    <div class={`install-arrival ${latest ? "arrived" : ""}`} role="status">
      {latest ? (
        <>
          <Icon name="check" />
          <p>
            {onShow ? "Received " : "Receiving events. Latest: "}
            <strong>{latest.name}</strong>, {agoText(latest.time, now(), format)}.
            {latest.isCrawler && " From a crawler, so excluded from reports."}
          </p>
          {onShow ? (
            <button type="button" class="button primary" onClick={onShow}>
              Open overview
            </button>
          ) : (
            <Link class="button" href={`/w/${encodeURIComponent(site.id)}/overview`}>
              Open overview
            </Link>
          )}
        </>
      ) : (
        <>
          <span class="install-waiting" aria-hidden="true" />
          <p>
            <strong>Waiting for the first event…</strong>{" "}
            <span class="muted">Run the snippet below. This updates as soon as it arrives.</span>
          </p>
        </>
      )}
    </div>
  )
}

/** Events younger than this arrived "just now". */
const justNowMs = 10_000

function agoText(time: string, now: number, format: ReturnType<typeof useFormat>): string {
  return now - Date.parse(time) < justNowMs ? "just now" : format.ago(time, now)
}

function StrayEvents({ site }: { site: Site }) {
  return (
    <section class="panel" aria-label="Events without a website">
      <p>
        Events are arriving without a website. Events sent with an API key must name theirs: add{" "}
        <code>"websiteId": "{site.id}"</code>. See the{" "}
        <Link href="/w/none/overview">events without a website</Link>.
      </p>
    </section>
  )
}

const senders = [
  { sender: "curl", label: "curl" },
  { sender: "node", label: "Node.js" },
  { sender: "page", label: "Web page" },
] as const

function Snippets({ site }: { site: Site }) {
  const { router, session } = useApp()
  const [key, setKey] = useState<string>()
  const { data, isLoading } = useResource<{ website: { allowedOrigins: string[] } }>(
    session.isOwner ? `websites/${encodeURIComponent(site.id)}` : undefined,
  )
  const chosen = router.location.value.params.get("lines")
  const sender = senders.find((candidate) => candidate.sender === chosen)?.sender ?? "curl"
  // Websites that list other origins require an Origin header. If the list is unknown, sending one does no harm.
  const sendsOrigin = !isLoading && (data === undefined || data.website.allowedOrigins.length > 0)
  const target = {
    origin: router.origin,
    website: site.id,
    pageOrigin: sendsOrigin ? originOf(site) : undefined,
    key,
  }
  return (
    <Panel
      title={`Send events to ${site.name}`}
      class="install-snippets"
      actions={
        <fieldset class="segmented">
          <legend class="hidden">Send from</legend>
          {senders.map((option) => (
            <button
              key={option.sender}
              type="button"
              aria-pressed={option.sender === sender}
              onClick={() => router.setParams({ lines: option.sender }, "replace")}
            >
              {option.label}
            </button>
          ))}
        </fieldset>
      }
    >
      {sender === "curl" && (
        <>
          <p class="muted">Send one event from a terminal. No key needed: website IDs are public.</p>
          <CodeBlock name="Copy curl command" code={curlSnippet(target)} />
        </>
      )}
      {sender === "node" && (
        <>
          <CreateKey site={site} createdKey={key} onCreated={setKey} />
          <CodeBlock name="Copy Node.js snippet" code={nodeSnippet(target)} />
        </>
      )}
      {sender === "page" && (
        <>
          <p class="muted">
            Paste before <code>{"</head>"}</code>, then call{" "}
            <code>track("signed_up", {'{ plan: "pro" }'})</code> anywhere. No build step, no cookies.
          </p>
          <CodeBlock name="Copy web page snippet" code={pageSnippet(target)} />
        </>
      )}
      {isLocal(router.origin) && (
        <p class="muted">
          {router.origin} only works on this machine. Open the dashboard at its public URL to get snippets for
          other senders.
        </p>
      )}
    </Panel>
  )
}

function originOf({ domain }: Site): string {
  return `http${domain === "localhost" ? "" : "s"}://${domain}`
}

interface CreateKeyProps {
  site: Site
  createdKey: string | undefined
  onCreated: (key: string) => void
}

/** Creates an API key that can only send events to this website. */
function CreateKey({ site, createdKey, onCreated }: CreateKeyProps) {
  const { api, session, toasts } = useApp()
  const [isBusy, setBusy] = useState(false)
  const create = async () => {
    if (isBusy) return
    setBusy(true)
    try {
      const body = {
        name: `Events for ${site.name}`.slice(0, 256),
        scopes: ["track:events"],
        websites: [site.id],
      }
      const { key } = await api.send<{ key: { key: string } }>("POST", "keys", body)
      onCreated(key.key)
    } catch (error) {
      toasts.show(messageOf(error), "failed")
    }
    setBusy(false)
  }
  if (createdKey !== undefined) {
    return (
      <p role="status">
        Key added to the snippet. You won't see it again. It can only send events to {site.name}. Keep it on a
        server, not in a web page.
      </p>
    )
  }
  return (
    <div class="install-key">
      <p class="muted">
        Send events from a server with an API key.{" "}
        {session.isOwner ? "Create one to add it to the snippet." : "Ask an owner for a key."}
      </p>
      {session.isOwner && (
        <button type="button" class="button" aria-disabled={isBusy} onClick={create}>
          Create key
        </button>
      )}
    </div>
  )
}

/** Replaces the domain localhost, which the first start uses. */
function DomainForm({ site }: { site: Site }) {
  const { api, session, toasts } = useApp()
  const [domain, setDomain] = useState("")
  if (!session.isOwner) return null
  return (
    <Panel
      title="Website domain"
      hint="Events from other hosts are rejected until you set your domain. Localhost always works."
    >
      <div class="install-domain">
        <Form
          action="Save domain"
          onSubmit={async () => {
            const path = `websites/${encodeURIComponent(site.id)}`
            const { website } = await api.send<{ website: Site }>("PATCH", path, { domain })
            // A website that is named after its domain is renamed with it; only the server knows the normalized domain.
            if (site.name === site.domain) await api.send("PATCH", path, { name: website.domain })
            await session.loadSites()
            toasts.show("Domain saved")
          }}
        >
          <label class="field">
            Domain
            <input
              required
              placeholder="example.com"
              autocapitalize="off"
              autocomplete="off"
              spellcheck={false}
              value={domain}
              onInput={(event) => setDomain(event.currentTarget.value)}
            />
            <small>Subdomains are included.</small>
          </label>
        </Form>
      </div>
    </Panel>
  )
}
