import { useEffect, useState } from "preact/hooks"
import { messageOf } from "../../errors.ts"
import { CheckField } from "../components/controls/check-field.tsx"
import { CodeBlock } from "../components/controls/copy.tsx"
import { Form } from "../components/controls/form.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { Link } from "../components/controls/link.tsx"
import { Segmented } from "../components/controls/segmented.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { RejectedOrigins } from "../components/layout/rejected-origins.tsx"
import { Skeleton } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { useRejectedRequests } from "../state/rejected-requests.ts"
import { useResource } from "../state/resource.ts"
import type { Site } from "../state/session.ts"
import { useAction } from "../state/use-action.ts"
import { type LatestEvent, useLatestEvent } from "./latest-event.ts"
import "./install.css"
import { curlSnippet, installations, isLocal, nodeSnippet, pageSnippet, scriptTarget } from "./snippets.ts"

/** Height in px of the box with the status of the first event. */
const boxHeight = 68

interface InstallProps {
  site: Site
  /** Called when the first event arrives, so that the caller can refetch its reports. */
  onArrival?: () => void
  /** Opens the report that contains the first event. Undefined on the page that only shows the instructions. */
  onShow?: (page: LatestEvent["page"]) => void
}

/** Setup instructions and the status of the first event. */
export function Install({ site, onArrival, onShow }: InstallProps) {
  const { isKnown, latest, hasStray } = useLatestEvent(site.id)
  /** Incremented when the website's allowed hosts change. */
  const [version, setVersion] = useState(0)
  const [hasRejected, setRejected] = useState(false)
  const hasArrived = latest !== undefined
  useEffect(() => {
    // The instructions stay open after the first event until the user leaves them, because the domain might not be
    // set yet, or other hosts might still have to be allowed.
    if (hasArrived) onArrival?.()
  }, [hasArrived])
  return (
    <>
      {isKnown || hasArrived || onShow ? (
        <ArrivalStatus site={site} latest={latest} onShow={onShow} hasRejected={hasRejected} />
      ) : (
        <div class="install-loading">
          <Skeleton height={boxHeight} />
        </div>
      )}
      {!hasArrived && hasStray && <StrayEvents site={site} />}
      <RejectedHosts site={site} onAllowed={() => setVersion(version + 1)} onChange={setRejected} />
      <ScriptPanel site={site} />
      {site.domain === "localhost" && <DomainForm site={site} />}
      <CustomEvents site={site} version={version} />
    </>
  )
}

const openLabels = { web: "Open page views", overview: "Open overview" }

interface ArrivalStatusProps {
  site: Site
  latest: LatestEvent | undefined
  onShow: InstallProps["onShow"] | undefined
  /** Whether events from other hosts are being rejected. */
  hasRejected: boolean
}

function ArrivalStatus({ site, latest, onShow, hasRejected }: ArrivalStatusProps) {
  const { now } = useApp()
  const format = useFormat()
  return (
    <div class={`install-arrival ${latest ? (hasRejected ? "partly" : "arrived") : ""}`} role="status">
      {latest ? (
        <>
          <Icon name={hasRejected ? "errors" : "check"} />
          <p>
            {onShow ? "Received " : "Receiving events. Latest: "}
            <strong>{latest.title}</strong>, {agoText(latest.time, now(), format)}.
            {latest.isCrawler && " It came from a crawler, so reports exclude it."}
            {hasRejected && " Events from other hosts are being rejected; see below."}
          </p>
          {onShow ? (
            <button type="button" class="button primary" onClick={() => onShow(latest.page)}>
              {openLabels[latest.page]}
            </button>
          ) : (
            <Link class="button" href={`/w/${encodeURIComponent(site.id)}/${latest.page}`}>
              {openLabels[latest.page]}
            </Link>
          )}
        </>
      ) : (
        <>
          <span class="install-waiting" aria-hidden="true" />
          <p>
            <strong>Waiting for the first event…</strong>{" "}
            <span class="muted">
              Open a page that has the script, or run a snippet below. This message changes when the event
              arrives.
            </span>
          </p>
        </>
      )}
    </div>
  )
}

/** Maximum age in ms of an event that is shown as "just now". */
const justNowMs = 10_000

function agoText(time: string, now: number, format: ReturnType<typeof useFormat>): string {
  return now - Date.parse(time) < justNowMs ? "just now" : format.ago(time, now)
}

function StrayEvents({ site }: { site: Site }) {
  return (
    <section class="panel" aria-label="Events without a website">
      <p>
        Some events arrive without a website. To assign events sent with an API key to this website, add{" "}
        <code>"websiteId": "{site.id}"</code>.{" "}
        <Link href="/w/none/overview">Show events without a website</Link>
      </p>
    </section>
  )
}

/** ms between checks for rejected requests. */
const rejectedInterval = 3_000

interface RejectedHostsProps {
  site: Site
  onAllowed: () => void
  /** Called on the first render and when `hasRejected` changes. `hasRejected` is true if any hosts are listed. */
  onChange: (hasRejected: boolean) => void
}

/** Lists hosts as soon as their events are rejected. */
function RejectedHosts({ site, onAllowed, onChange }: RejectedHostsProps) {
  const path = `refusals?website_id=${encodeURIComponent(site.id)}&reason=origin_not_allowed`
  const { requests = [] } = useRejectedRequests({ path, interval: rejectedInterval })
  const onAllowedHost = () => {
    // When the last host is allowed, the panel disappears together with its focused button, so the heading gets the
    // focus.
    document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true })
    onAllowed()
  }
  return (
    <div role="status" class="install-rejected">
      <RejectedOrigins requests={requests} onAllowed={onAllowedHost} onChange={onChange}>
        {(list) => (
          <section class="panel" aria-label="Rejected hosts">
            <p>
              Events from these hosts are rejected, because they are not part of{" "}
              <strong>{site.domain}</strong>. Allow those that are yours.
            </p>
            {list}
          </section>
        )}
      </RejectedOrigins>
    </div>
  )
}

/** The script tag, and how to add it in common frameworks. */
function ScriptPanel({ site }: { site: Site }) {
  const { router, session } = useApp()
  const chosen = router.location.value.params.get("framework")
  const installation = installations.find(({ framework }) => framework === chosen) ?? installations[0]
  const [isPinned, setPinned] = useState(false)
  const me = session.me.value
  const target = me && scriptTarget(me, router.serverUrl, site.id)
  const integrity = useIntegrity(isPinned ? target?.scriptUrl : undefined)
  if (!target) return null
  const isTag = installation.framework === "html"
  return (
    <Panel
      title={`Add the script to ${site.name}`}
      class="install-snippets"
      actions={
        <Segmented
          legend="Framework"
          options={installations.map(({ framework, label }) => ({ value: framework, label }))}
          value={installation.framework}
          onChange={(framework) => router.setParams({ framework }, "replace")}
        />
      }
    >
      <p class="muted">
        The script counts page views, visitors and traffic sources, without cookies. {installation.where}
      </p>
      <CodeBlock
        name="Copy script"
        code={installation.code(isTag && integrity !== undefined ? { ...target, integrity } : target)}
      />
      {isTag && (
        <CheckField label="Pin this version of the script" isChecked={isPinned} onChange={setPinned}>
          Adds an integrity hash to the tag, so browsers run only this version. If a server upgrade changes
          the script, browsers will block it, and nothing will be tracked until you paste the new tag.
        </CheckField>
      )}
      {site.domain === "localhost" && (
        <p class="muted">
          To try it on localhost, load <code>databuddy-debug.js</code> instead: <code>databuddy.js</code> does
          not track there.
        </p>
      )}
    </Panel>
  )
}

/**
 * Returns the integrity hash of the script at a URL; undefined if there is no URL, or until the server has responded.
 */
function useIntegrity(url: string | undefined): string | undefined {
  const { toasts } = useApp()
  const [integrity, setIntegrity] = useState<string>()
  useEffect(() => {
    setIntegrity(undefined)
    if (url === undefined) return
    const abort = new AbortController()
    // Bypasses the cache, because a cached script can be older than the one on the server.
    fetch(url, { method: "HEAD", cache: "reload", signal: abort.signal })
      .then(({ headers }) => setIntegrity(headers.get("x-script-integrity") ?? undefined))
      .catch((error) => {
        if (!abort.signal.aborted) toasts.show(messageOf(error), "failed")
      })
    return () => abort.abort()
  }, [url])
  return integrity
}

const senders = [
  { value: "curl", label: "curl" },
  { value: "node", label: "Node.js" },
  { value: "page", label: "Web page" },
] as const

/** Instructions for sending custom events from a terminal, a server or a web page. */
function CustomEvents({ site, version }: { site: Site; version: number }) {
  const { router, session } = useApp()
  const [key, setKey] = useState<string>()
  const { data, isLoading } = useResource<{ website: { allowedOrigins: string[] } }>(
    session.isOwner ? `websites/${encodeURIComponent(site.id)}` : undefined,
    version,
  )
  const chosen = router.location.value.params.get("lines")
  const sender = senders.find(({ value }) => value === chosen)?.value ?? "curl"
  // A website with a list of allowed hosts requires an Origin header. If it is unknown whether there is a list, the
  // snippet has the header, because a header that is not needed does no harm.
  const sendsOrigin = !isLoading && (data === undefined || data.website.allowedOrigins.length > 0)
  const target = {
    serverUrl: router.serverUrl,
    website: site.id,
    pageOrigin: sendsOrigin ? originOf(site) : undefined,
    key,
  }
  return (
    <Panel
      title={`Send custom events to ${site.name}`}
      class="install-snippets"
      actions={
        <Segmented
          legend="Send from"
          options={senders}
          value={sender}
          onChange={(lines) => router.setParams({ lines }, "replace")}
        />
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
            On a page that has the script, call <code>{'databuddy.track("signed_up", { plan: "pro" })'}</code>{" "}
            once the script has loaded. This snippet works even before that:
          </p>
          <CodeBlock name="Copy web page snippet" code={pageSnippet} />
        </>
      )}
      {isLocal(router.serverUrl) && (
        <p class="muted">
          {router.serverUrl} only works on this machine. Open the dashboard at its public URL to get snippets
          that work on other machines.
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
  const { api, session } = useApp()
  const { isBusy, run } = useAction(async () => {
    const body = {
      name: `Events for ${site.name}`.slice(0, 256),
      scopes: ["track:events"],
      websites: [site.id],
    }
    const { key } = await api.send<{ key: { key: string } }>("POST", "keys", body)
    onCreated(key.key)
  })
  if (createdKey !== undefined) {
    return (
      <p role="status">
        Key added to the snippet. You won't see it again. It can only send events to {site.name}. Use it on a
        server, never in a web page.
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
        <button type="button" class="button" aria-disabled={isBusy} onClick={run}>
          Create key
        </button>
      )}
    </div>
  )
}

/**
 * A form for setting the real domain of the first website, which a new server creates with the domain `localhost`.
 */
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
            // A website named after its domain is renamed as well. This takes a second request, because only the server
            // knows the normalized domain.
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
