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
  const [asked, setAsked] = useState<Share>()
  const row = (share: Share) => {
    const { id, websiteId, name, path, createdAt, expiresAt, lastUsedAt } = share
    const isOver = expiresAt !== null && Date.parse(expiresAt) <= now()
    return (
      <Row
        key={id}
        title={name}
        badge={isOver && <span class="badge bad">expired</span>}
        facts={[
          ["Website", session.nameOf(websiteId)],
          ["Opens", <SavedPath key="path" website={websiteId} path={path} />],
          ["Last used", lastUsedAt === null ? "never" : format.ago(lastUsedAt, now())],
          [isOver ? "Ended" : "Ends", expiresAt === null ? "never" : format.time(expiresAt)],
          ["Made", format.day(createdAt)],
        ]}
        actions={
          <button
            type="button"
            class="button small"
            aria-label={`${isOver ? "Delete" : "Revoke"} ${name}`}
            onClick={() => setAsked(share)}
          >
            {isOver ? "Delete" : "Revoke"}
          </button>
        }
      />
    )
  }
  return (
    <SettingsPage name="shares" title="Share links">
      <Panel
        title="Links for reading"
        hint="Whoever has one sees the reports of its website: no single visitors, no settings, nothing to change."
      >
        <List
          name="Share links"
          of={shares}
          empty={
            <Empty title="No share links">
              Open the page to show, and choose “Share by a link” from its menu Views.
            </Empty>
          }
          rows={(answer) => answer.shares.map(row)}
        />
      </Panel>
      {asked && (
        <Confirm
          title={`Revoke ${asked.name}?`}
          action="Revoke"
          onClose={() => setAsked(undefined)}
          onConfirm={async () => {
            await api.send("DELETE", `shares/${encodeURIComponent(asked.id)}`)
            toasts.show(`${asked.name} is revoked.`)
            shares.again()
          }}
        >
          <p>Whoever has the link sees nothing any more. It cannot be brought back; a new one can be made.</p>
        </Confirm>
      )}
    </SettingsPage>
  )
}
