import { useState } from "preact/hooks"
import { Confirm, Dialog } from "../components/controls/dialog.tsx"
import { Form } from "../components/controls/form.tsx"
import { MoreMenu } from "../components/controls/more-menu.tsx"
import { NameField } from "../components/controls/name-dialog.tsx"
import { pageLabel } from "../components/controls/navigation-menu.ts"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { EmbedHostsField, hostsOf } from "../components/saved/embed-hosts-field.tsx"
import { NewLink, type NewShare, type Share } from "../components/saved/new-link.tsx"
import { useApp } from "../state/app.ts"
import { isolate } from "../state/bidi.ts"
import { useResource } from "../state/resource.ts"
import { List, Row } from "./list.tsx"
import { RotateDialog } from "./rotation.tsx"
import { SavedPath } from "./saved-path.tsx"
import { SettingsPage } from "./settings-page.tsx"

type DialogState = { name: "edit" | "rotate" | "end" | "revoke"; share: Share }

export function Shares() {
  const { api, session, toasts, now } = useApp()
  const format = useFormat()
  const shares = useResource<{ shares: Share[] }>("shares")
  const [dialog, setDialog] = useState<DialogState>()
  const [created, setCreated] = useState<NewShare>()
  const close = () => setDialog(undefined)
  const hasExpired = ({ expiresAt }: Share) => expiresAt !== null && Date.parse(expiresAt) <= now()
  const row = (share: Share) => {
    const { id, websiteId, name, path, embedHosts, createdAt, expiresAt, lastUsedAt } = share
    const previousEnd = share.previousExpiresAt
    const isOverlapping = previousEnd !== null && Date.parse(previousEnd) > now()
    const isExpired = hasExpired(share)
    const state = isExpired ? "expired" : share.isActive ? undefined : "ended"
    return (
      <Row
        key={id}
        title={name}
        badge={state && <span class="badge bad">{state}</span>}
        facts={[
          ["Website", session.nameOf(websiteId ?? "all")],
          ["Access", accessText(share)],
          ["Opens", <SavedPath key="path" website={websiteId ?? "all"} path={path} />],
          ["Last used", lastUsedAt === null ? "Never" : format.ago(lastUsedAt, now())],
          [isExpired ? "Expired" : "Expires", expiresAt === null ? "Never" : format.time(expiresAt)],
          ["Created", format.day(createdAt)],
          ...(share.isActive
            ? []
            : [["Ended", "Its creator can no longer share the board. Create a new link."] as const]),
          ...(embedHosts.length > 0 ? [["Embedded by", embedHosts.join(", "), "wide"] as const] : []),
          ...(isOverlapping ? [["Previous link", `Works until ${format.time(previousEnd)}`] as const] : []),
        ]}
        actions={
          <>
            <button
              type="button"
              class="button small"
              aria-label={`${isExpired ? "Delete" : "Revoke"} ${name}`}
              onClick={() => setDialog({ name: "revoke", share })}
            >
              {isExpired ? "Delete" : "Revoke"}
            </button>
            {!isExpired && (
              <MoreMenu
                name={name}
                actions={[
                  { label: "Edit…", run: () => setDialog({ name: "edit", share }) },
                  { label: "Rotate…", run: () => setDialog({ name: "rotate", share }) },
                  ...(isOverlapping
                    ? [{ label: "Revoke previous link…", run: () => setDialog({ name: "end", share }) }]
                    : []),
                ]}
              />
            )}
          </>
        }
      />
    )
  }
  return (
    <SettingsPage name="shares" title="Share links">
      <Panel
        title="Share links"
        hint="Anyone with a link can view a website's reports, a single page or a board. Links are read-only and do not show individual visitors or settings."
      >
        <List
          name="Share links"
          resource={shares}
          empty={
            <Empty title="No share links">
              To create one, open a page and choose “Create share link…” in its Share&nbsp;&amp;&nbsp;save
              menu, or “Share…” in the menu of a board.
            </Empty>
          }
          rows={(data) => data.shares.map(row)}
        />
      </Panel>
      {dialog?.name === "revoke" && (
        <Confirm
          title={`${hasExpired(dialog.share) ? "Delete" : "Revoke"} ${dialog.share.name}?`}
          action={hasExpired(dialog.share) ? "Delete" : "Revoke"}
          onClose={close}
          onConfirm={async () => {
            await api.send("DELETE", pathOf(dialog.share))
            toasts.show(`${dialog.share.name} ${hasExpired(dialog.share) ? "deleted" : "revoked"}`)
            shares.refetch()
          }}
        >
          <p>
            {hasExpired(dialog.share)
              ? "The link has expired. This removes it from the list."
              : "The link will stop working immediately. This cannot be undone, but you can create a new link."}
          </p>
        </Confirm>
      )}
      {dialog?.name === "end" && (
        <Confirm
          title={`Revoke the previous link for ${dialog.share.name}?`}
          action="Revoke"
          onClose={close}
          onConfirm={async () => {
            await api.send("DELETE", `${pathOf(dialog.share)}/overlap`)
            toasts.show(`Previous link for ${dialog.share.name} revoked`)
            shares.refetch()
          }}
        >
          <p>The previous link will stop working immediately. The current link will keep working.</p>
        </Confirm>
      )}
      {dialog?.name === "rotate" && (
        <RotateDialog
          name={dialog.share.name}
          what="link"
          onClose={close}
          onConfirm={async (overlap) => {
            setCreated(await api.send<NewShare>("POST", `${pathOf(dialog.share)}/rotate`, { overlap }))
            shares.refetch()
          }}
        />
      )}
      {dialog?.name === "edit" && (
        <ShareForm share={dialog.share} onClose={close} onChanged={shares.refetch} />
      )}
      {created && <NewLink created={created} onClose={() => setCreated(undefined)} />}
    </SettingsPage>
  )
}

/** Describes what a share link opens. */
function accessText({ page, boardName }: Share): string {
  if (boardName !== null) return `Board: ${isolate(boardName)}`
  return page === null ? "All reports" : `${pageLabel(page)} only`
}

function pathOf({ id }: Share): string {
  return `shares/${encodeURIComponent(id)}`
}

interface ShareFormProps {
  share: Share
  onClose: () => void
  onChanged: () => void
}

/** Edits a link's name and the list of websites that can embed it. */
function ShareForm({ share, onClose, onChanged }: ShareFormProps) {
  const { api, toasts } = useApp()
  const [name, setName] = useState(share.name)
  const [hosts, setHosts] = useState(share.embedHosts.join("\n"))
  return (
    <Dialog title={`Edit ${share.name}`} onClose={onClose}>
      <Form
        action="Save changes"
        onCancel={onClose}
        onSubmit={async () => {
          await api.send("PATCH", pathOf(share), { name, embedHosts: hostsOf(hosts) })
          toasts.show(`${name} updated`)
          onChanged()
          onClose()
        }}
      >
        <NameField label="Name" value={name} onInput={setName} />
        <EmbedHostsField value={hosts} onInput={setHosts} />
        <p class="muted">
          The embed code contains the link's secret, which is not stored. Rotate the link to get a new embed
          code.
        </p>
      </Form>
    </Dialog>
  )
}
