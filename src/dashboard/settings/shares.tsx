import { useState } from "preact/hooks"
import { Confirm } from "../components/controls/dialog.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { useResource } from "../state/resource.ts"
import { List, Row } from "./list.tsx"
import { SavedPath } from "./saved-path.tsx"
import { SettingsPage } from "./settings-page.tsx"

interface Share {
  id: string
  websiteId: string
  name: string
  path: string
  createdAt: string
  expiresAt: string | null
  lastUsedAt: string | null
}

export function Shares() {
  const { api, session, toasts, now } = useApp()
  const format = useFormat()
  const shares = useResource<{ shares: Share[] }>("shares")
  /** The link to revoke. */
  const [revoked, setRevoked] = useState<Share>()
  const row = (share: Share) => {
    const { id, websiteId, name, path, createdAt, expiresAt, lastUsedAt } = share
    const isExpired = expiresAt !== null && Date.parse(expiresAt) <= now()
    return (
      <Row
        key={id}
        title={name}
        badge={isExpired && <span class="badge bad">expired</span>}
        facts={[
          ["Website", session.nameOf(websiteId)],
          ["Opens", <SavedPath key="path" website={websiteId} path={path} />],
          ["Last used", lastUsedAt === null ? "Never" : format.ago(lastUsedAt, now())],
          [isExpired ? "Expired" : "Expires", expiresAt === null ? "Never" : format.time(expiresAt)],
          ["Created", format.day(createdAt)],
        ]}
        actions={
          <button
            type="button"
            class="button small"
            aria-label={`${isExpired ? "Delete" : "Revoke"} ${name}`}
            onClick={() => setRevoked(share)}
          >
            {isExpired ? "Delete" : "Revoke"}
          </button>
        }
      />
    )
  }
  return (
    <SettingsPage name="shares" title="Share links">
      <Panel
        title="Share links"
        hint="Read-only access to a website's reports for anyone with the link. No individual visitors, no settings."
      >
        <List
          name="Share links"
          resource={shares}
          empty={
            <Empty title="No share links">
              To create one, open a page and choose “Create share link…” in its Share&nbsp;&amp;&nbsp;save
              menu.
            </Empty>
          }
          rows={(data) => data.shares.map(row)}
        />
      </Panel>
      {revoked && (
        <Confirm
          title={`Revoke ${revoked.name}?`}
          action="Revoke"
          onClose={() => setRevoked(undefined)}
          onConfirm={async () => {
            await api.send("DELETE", `shares/${encodeURIComponent(revoked.id)}`)
            toasts.show(`${revoked.name} revoked`)
            shares.refetch()
          }}
        >
          <p>The link stops working immediately. This cannot be undone, but you can create a new link.</p>
        </Confirm>
      )}
    </SettingsPage>
  )
}
