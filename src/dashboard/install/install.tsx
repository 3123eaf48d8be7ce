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
import { type FirstEvent, useFirstEvents } from "./first-events.ts"
import "./install.css"
import { curlLine, isLocal, nodeLines, pageLines } from "./snippets.ts"

/** ms that one has to read that it is here, before its numbers take the place of that. */
const showsAfter = 5_000

/** px of the box that says what arrives. */
const boxHeight = 68

interface InstallProps {
  site: Site
  /** The first event is here: it is time to ask for the numbers. */
  onArrival?: () => void
  /** Shows them; without it there is nothing to go on to. */
  onShow?: () => void
}

/** How events get here, and whether they do. */
export function Install({ site, onArrival, onShow }: InstallProps) {
  const { isKnown, newest, hasStray } = useFirstEvents(site.id)
  const isHere = newest !== undefined
  useEffect(() => {
    if (!isHere || !onShow) return
    onArrival?.()
    const timer = setTimeout(onShow, showsAfter)
    return () => clearTimeout(timer)
  }, [isHere])
  return (
    <>
      {isKnown || isHere || onShow ? (
        <ArrivalBox site={site} newest={newest} onShow={onShow} />
      ) : (
        <div class="install-coming">
          <Skeleton height={boxHeight} />
        </div>
      )}
      {!isHere && hasStray && <Stray site={site} />}
      <Lines site={site} />
      {site.domain === "localhost" && <Domain site={site} />}
    </>
  )
}

interface ArrivalBoxProps {
  site: Site
  newest: FirstEvent | undefined
  onShow: (() => void) | undefined
}

function ArrivalBox({ site, newest, onShow }: ArrivalBoxProps) {
  const { now } = useApp()
  const format = useFormat()
  return (
    <div class={`install-arrival ${newest ? "here" : ""}`} role="status">
      {newest ? (
        <>
          <Icon name="check" />
          <p>
            {onShow ? "It is here: " : "Events arrive. The newest: "}
            <strong>{newest.name}</strong>, {agoOf(newest.time, now(), format)}
            {newest.isCrawler && ". It is a crawler's, which the numbers leave out"}.
          </p>
          {onShow ? (
            <button type="button" class="button primary" onClick={onShow}>
              Show the numbers
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
            <span class="muted">Send one with the lines below; this box says when it is here.</span>
          </p>
        </>
      )}
    </div>
  )
}

/** ms that count as now. */
const justNow = 10_000

function agoOf(time: string, now: number, format: ReturnType<typeof useFormat>): string {
  return now - Date.parse(time) < justNow ? "just now" : format.ago(time, now)
}

function Stray({ site }: { site: Site }) {
  return (
    <section class="panel" aria-label="Events without a website">
      <p>
        Events arrive, but without a website: one that is sent with a key is of a website only where it names
        it. Send <code>"websiteId": "{site.id}"</code> along. What has come so far is{" "}
        <Link href="/w/none/overview">without a website</Link>.
      </p>
    </section>
  )
}

const ways = [
  { way: "curl", label: "curl" },
  { way: "node", label: "Node.js" },
  { way: "page", label: "Web page" },
] as const

function Lines({ site }: { site: Site }) {
  const { place, session } = useApp()
  const [key, setKey] = useState<string>()
  const { data, isLoading } = useResource<{ website: { allowedOrigins: string[] } }>(
    session.isOwner ? `websites/${encodeURIComponent(site.id)}` : undefined,
  )
  const asked = place.spot.value.params.get("lines")
  const way = ways.find((one) => one.way === asked)?.way ?? "curl"
  // Who lists origins wants each request to name one; where nobody can tell, naming it does no harm.
  const namesOrigin = !isLoading && (data === undefined || data.website.allowedOrigins.length > 0)
  const target = {
    origin: place.origin,
    website: site.id,
    pageOrigin: namesOrigin ? originOf(site) : undefined,
    key,
  }
  return (
    <Panel
      title={`Send events of ${site.name}`}
      class="install-lines"
      actions={
        <fieldset class="segmented">
          <legend class="hidden">Sent with</legend>
          {ways.map((one) => (
            <button
              key={one.way}
              type="button"
              aria-pressed={one.way === way}
              onClick={() => place.set({ lines: one.way }, "replace")}
            >
              {one.label}
            </button>
          ))}
        </fieldset>
      }
    >
      {way === "curl" && (
        <>
          <p class="muted">One event, from a shell. It needs no key: the website's id is public.</p>
          <CodeBlock name="Copy the curl line" code={curlLine(target)} />
        </>
      )}
      {way === "node" && (
        <>
          <KeyMaker site={site} made={key} onMade={setKey} />
          <CodeBlock name="Copy the lines for Node.js" code={nodeLines(target)} />
        </>
      )}
      {way === "page" && (
        <>
          <p class="muted">
            Before the end of the page's head, as it is; then{" "}
            <code>track("signed_up", {'{ plan: "pro" }'})</code> from wherever something happens. No build
            step, no cookie.
          </p>
          <CodeBlock name="Copy the lines for a page" code={pageLines(target)} />
        </>
      )}
      {isLocal(place.origin) && (
        <p class="muted">
          {place.origin} leads to this machine alone. For senders elsewhere open the dashboard by its public
          address: the lines then name that one.
        </p>
      )}
    </Panel>
  )
}

function originOf({ domain }: Site): string {
  return `http${domain === "localhost" ? "" : "s"}://${domain}`
}

interface KeyMakerProps {
  site: Site
  made: string | undefined
  onMade: (key: string) => void
}

/** A key that may send events of this website, and nothing else. */
function KeyMaker({ site, made, onMade }: KeyMakerProps) {
  const { api, session, toasts } = useApp()
  const [isBusy, setBusy] = useState(false)
  const make = async () => {
    if (isBusy) return
    setBusy(true)
    try {
      const body = {
        name: `Events of ${site.name}`.slice(0, 256),
        scopes: ["track:events"],
        websites: [site.id],
      }
      const { key } = await api.send<{ key: { key: string } }>("POST", "keys", body)
      onMade(key.key)
    } catch (error) {
      toasts.show(messageOf(error), "failed")
    }
    setBusy(false)
  }
  if (made !== undefined) {
    return (
      <p role="status">
        The key stands in the lines now, and is shown this once. It may send events of {site.name}, and do
        nothing else; it is a secret, which belongs on a server and not into a page.
      </p>
    )
  }
  return (
    <div class="install-key">
      <p class="muted">
        From a server, with an API key.{" "}
        {session.isOwner ? "A new one is filled in below." : "Ask an owner for one: it is a secret."}
      </p>
      {session.isOwner && (
        <button type="button" class="button" aria-disabled={isBusy} onClick={make}>
          Make a key
        </button>
      )}
    </div>
  )
}

/** The first start knows no better than localhost. */
function Domain({ site }: { site: Site }) {
  const { api, session, toasts } = useApp()
  const [domain, setDomain] = useState("")
  if (!session.isOwner) return null
  return (
    <Panel
      title="The domain of the website"
      hint="It is called localhost since the first start. Pages of other hosts are refused until this is theirs; those of this machine may always send."
    >
      <div class="install-domain">
        <Form
          action="Keep the domain"
          onSubmit={async () => {
            const path = `websites/${encodeURIComponent(site.id)}`
            const { website } = await api.send<{ website: Site }>("PATCH", path, { domain })
            // Called by its domain it goes on to be; only the server knows what of the address that is.
            if (site.name === site.domain) await api.send("PATCH", path, { name: website.domain })
            await session.loadSites()
            toasts.show("The domain is kept.")
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
            <small>Its subdomains may send too.</small>
          </label>
        </Form>
      </div>
    </Panel>
  )
}
