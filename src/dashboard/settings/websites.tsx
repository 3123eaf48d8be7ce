import { useState } from "preact/hooks"
import { CopyButton } from "../components/controls/copy.tsx"
import { Confirm } from "../components/controls/dialog.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { Link } from "../components/controls/link.tsx"
import { MoreMenu } from "../components/controls/more-menu.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { useResource } from "../state/resource.ts"
import { List, Row } from "./list.tsx"
import { SettingsPage } from "./settings-page.tsx"
import { WebsiteDeletion } from "./website-deletion.tsx"
import { retentionText, type Website, WebsiteForm } from "./website-form.tsx"

type DialogState = { name: "create" } | { name: "edit" | "pause" | "resume" | "delete"; website: Website }

export function Websites() {
  const { session, router } = useApp()
  const websites = useResource<{ websites: Website[] }>("websites")
  const [dialog, setDialog] = useState<DialogState>()
  const close = () => setDialog(undefined)
  const changed = async () => {
    websites.refetch()
    await session.loadSites()
  }
  const create = (
    <button type="button" class="button primary" onClick={() => setDialog({ name: "create" })}>
      <Icon name="plus" /> Add website
    </button>
  )
  return (
    <SettingsPage name="websites" title="Websites" actions={create}>
      <Panel title="All websites">
        <List
          name="Websites"
          resource={websites}
          empty={<Empty title="No websites">Events are grouped by website. Add your first website.</Empty>}
          rows={(data) =>
            data.websites.map((website) => (
              <WebsiteRow key={website.id} website={website} openDialog={setDialog} />
            ))
          }
        />
      </Panel>
      {dialog?.name === "create" && (
        <WebsiteForm
          onClose={close}
          onDone={async (website) => {
            await changed()
            router.navigate(`/w/${encodeURIComponent(website.id)}/install`)
          }}
        />
      )}
      {dialog?.name === "edit" && <WebsiteForm website={dialog.website} onClose={close} onDone={changed} />}
      {(dialog?.name === "pause" || dialog?.name === "resume") && (
        <PauseWebsite website={dialog.website} onClose={close} onDone={changed} />
      )}
      {dialog?.name === "delete" && (
        <WebsiteDeletion website={dialog.website} onClose={close} onDone={changed} />
      )}
    </SettingsPage>
  )
}

interface WebsiteRowProps {
  website: Website
  openDialog: (dialog: DialogState) => void
}

function WebsiteRow({ website, openDialog }: WebsiteRowProps) {
  const { id, name, domain, allowedOrigins, anonymize, pausedAt } = website
  return (
    <Row
      title={<Link href={`/w/${encodeURIComponent(id)}`}>{name}</Link>}
      badge={pausedAt !== null && <span class="badge bad">Paused</span>}
      facts={[
        ["Domain", [domain, ...allowedOrigins].join(", ")],
        [
          "ID",
          <span key="id" class="settings-id">
            <code>{id}</code> <CopyButton text={id} name={`Copy ID of ${name}`} />
          </span>,
          "wide",
        ],
        ["Data retention", retentionText(website.retain)],
        ["Visitor IDs", anonymize === "daily" ? "Replaced with a daily hash" : "Stored as sent"],
      ]}
      actions={
        <>
          <Link
            class="button small"
            href={`/w/${encodeURIComponent(id)}/install`}
            label={`Setup instructions for ${name}`}
          >
            Setup instructions
          </Link>
          <button
            type="button"
            class="button small"
            aria-label={`Edit ${name}`}
            onClick={() => openDialog({ name: "edit", website })}
          >
            Edit
          </button>
          <MoreMenu
            name={name}
            actions={[
              pausedAt === null
                ? { label: "Pause…", run: () => openDialog({ name: "pause", website }) }
                : { label: "Resume…", run: () => openDialog({ name: "resume", website }) },
              { label: "Delete…", run: () => openDialog({ name: "delete", website }) },
            ]}
          />
        </>
      }
    />
  )
}

interface PauseWebsiteProps {
  website: Website
  onClose: () => void
  onDone: () => Promise<void>
}

function PauseWebsite({ website: { id, name, pausedAt }, onClose, onDone }: PauseWebsiteProps) {
  const { api, toasts } = useApp()
  const isPaused = pausedAt !== null
  const change = async () => {
    await api.send("PATCH", `websites/${encodeURIComponent(id)}`, { paused: !isPaused })
    await onDone()
    toasts.show(isPaused ? `${name} resumed` : `${name} paused`)
  }
  return isPaused ? (
    <Confirm title={`Resume ${name}?`} action="Resume" isHarmless onConfirm={change} onClose={onClose}>
      <p>
        New events will be accepted again. Events sent while the website was paused were rejected and are
        lost.
      </p>
    </Confirm>
  ) : (
    <Confirm title={`Pause ${name}?`} action="Pause" onConfirm={change} onClose={onClose}>
      <p>Stored events stay visible. New events will be rejected and lost until you resume the website.</p>
    </Confirm>
  )
}
