import { useState } from "preact/hooks"
import { Copy } from "../components/controls/copy.tsx"
import { Confirm } from "../components/controls/dialog.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { Link } from "../components/controls/link.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { useResource } from "../state/resource.ts"
import { List, More, Row } from "./list.tsx"
import { SettingsPage } from "./settings-page.tsx"
import { WebsiteDeletion } from "./website-deletion.tsx"
import { retainWords, type Website, WebsiteForm } from "./website-form.tsx"

type Asked = { what: "create" } | { what: "edit" | "pause" | "resume" | "delete"; website: Website }

export function Websites() {
  const { session, place } = useApp()
  const websites = useResource<{ websites: Website[] }>("websites")
  const [asked, setAsked] = useState<Asked>()
  const close = () => setAsked(undefined)
  const changed = async () => {
    websites.again()
    await session.loadSites()
  }
  const create = (
    <button type="button" class="button primary" onClick={() => setAsked({ what: "create" })}>
      <Icon name="plus" /> Add a website
    </button>
  )
  return (
    <SettingsPage name="websites" title="Websites" actions={create}>
      <Panel title="All websites">
        <List
          name="Websites"
          of={websites}
          empty={
            <Empty title="No website yet">Events are grouped by website. Add the first one above.</Empty>
          }
          rows={(answer) =>
            answer.websites.map((website) => <WebsiteRow key={website.id} website={website} ask={setAsked} />)
          }
        />
      </Panel>
      {asked?.what === "create" && (
        <WebsiteForm
          onClose={close}
          onDone={async (website) => {
            await changed()
            place.go(`/w/${encodeURIComponent(website.id)}/install`)
          }}
        />
      )}
      {asked?.what === "edit" && <WebsiteForm website={asked.website} onClose={close} onDone={changed} />}
      {(asked?.what === "pause" || asked?.what === "resume") && (
        <Pausing website={asked.website} onClose={close} onDone={changed} />
      )}
      {asked?.what === "delete" && (
        <WebsiteDeletion website={asked.website} onClose={close} onDone={changed} />
      )}
    </SettingsPage>
  )
}

function WebsiteRow({ website, ask }: { website: Website; ask: (asked: Asked) => void }) {
  const { id, name, domain, allowedOrigins, anonymize, pausedAt } = website
  return (
    <Row
      title={<Link href={`/w/${encodeURIComponent(id)}/overview`}>{name}</Link>}
      badge={pausedAt !== null && <span class="badge bad">paused</span>}
      facts={[
        ["Domain", [domain, ...allowedOrigins].join(", ")],
        [
          "Id",
          <span key="id" class="settings-id">
            <code>{id}</code> <Copy text={id} name={`Copy the id of ${name}`} />
          </span>,
          "wide",
        ],
        ["Events are kept", retainWords(website.retain)],
        ["Visitors' ids", anonymize === "daily" ? "changed every day" : "as they are sent"],
      ]}
      actions={
        <>
          <Link
            class="button small"
            href={`/w/${encodeURIComponent(id)}/install`}
            label={`Install lines of ${name}`}
          >
            Install lines
          </Link>
          <button
            type="button"
            class="button small"
            aria-label={`Edit ${name}`}
            onClick={() => ask({ what: "edit", website })}
          >
            Edit
          </button>
          <More
            name={name}
            choices={[
              pausedAt === null
                ? { label: "Pause…", run: () => ask({ what: "pause", website }) }
                : { label: "Resume…", run: () => ask({ what: "resume", website }) },
              { label: "Delete…", run: () => ask({ what: "delete", website }) },
            ]}
          />
        </>
      }
    />
  )
}

interface PausingProps {
  website: Website
  onClose: () => void
  onDone: () => Promise<void>
}

function Pausing({ website: { id, name, pausedAt }, onClose, onDone }: PausingProps) {
  const { api, toasts } = useApp()
  const isPaused = pausedAt !== null
  const change = async () => {
    await api.send("PATCH", `websites/${encodeURIComponent(id)}`, { paused: !isPaused })
    await onDone()
    toasts.show(isPaused ? `${name} takes events again.` : `${name} is paused.`)
  }
  return isPaused ? (
    <Confirm title={`Resume ${name}?`} action="Resume" isHarmless onConfirm={change} onClose={onClose}>
      <p>It takes events again. Those that were sent meanwhile were refused, and are not kept anywhere.</p>
    </Confirm>
  ) : (
    <Confirm title={`Pause ${name}?`} action="Pause" onConfirm={change} onClose={onClose}>
      <p>Its events stay, and are shown. New ones are refused, and lost, until it is resumed.</p>
    </Confirm>
  )
}
