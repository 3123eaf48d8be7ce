import { useState } from "preact/hooks"
import { Confirm } from "../components/controls/dialog.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { MoreMenu } from "../components/controls/more-menu.tsx"
import { SecretDialog } from "../components/controls/secret-dialog.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { useResource } from "../state/resource.ts"
import { type Key, KeyForm, type NewKey } from "./key-form.tsx"
import { List, Row } from "./list.tsx"
import { scopeTexts } from "./permissions.ts"
import { RotateDialog } from "./rotation.tsx"
import { SettingsPage } from "./settings-page.tsx"
import { websitesText } from "./website-choice.tsx"

/** The dialog that is open. */
type DialogState =
  | { name: "create" }
  | { name: "edit"; key: Key }
  | { name: "rotate"; key: Key }
  | { name: keyof typeof confirmations; key: Key }

export function Keys() {
  const { api } = useApp()
  const format = useFormat()
  const keys = useResource<{ keys: Key[] }>("keys")
  const [dialog, setDialog] = useState<DialogState>()
  const [created, setCreated] = useState<NewKey>()
  const close = () => setDialog(undefined)
  const show = (key: NewKey) => {
    setCreated(key)
    keys.refetch()
  }
  const create = (
    <button type="button" class="button primary" onClick={() => setDialog({ name: "create" })}>
      <Icon name="plus" /> Create key
    </button>
  )
  const rows = (isRevoked: boolean) => (data: { keys: Key[] }) =>
    data.keys
      .filter(({ revokedAt }) => (revokedAt !== null) === isRevoked)
      .map((key) => <KeyRow key={key.id} apiKey={key} openDialog={setDialog} />)
  const revoked = keys.data?.keys.filter(({ revokedAt }) => revokedAt !== null).length ?? 0
  return (
    <SettingsPage name="keys" title="API keys" actions={create}>
      <Panel
        title="API keys"
        hint="For servers and scripts. Web pages do not need a key: they send events with the website ID."
      >
        <List
          name="API keys"
          resource={keys}
          empty={
            <Empty title="No API keys">Create a key to send events from a server or to query reports.</Empty>
          }
          rows={rows(false)}
        />
        {revoked > 0 && (
          <details class="settings-revoked">
            <summary>{format.countOf(revoked, "revoked key")}</summary>
            <List name="Revoked keys" resource={keys} empty={null} rows={rows(true)} />
          </details>
        )}
      </Panel>
      {(dialog?.name === "create" || dialog?.name === "edit") && (
        <KeyForm
          {...(dialog.name === "edit" ? { apiKey: dialog.key } : {})}
          onClose={close}
          onCreated={show}
          onChanged={keys.refetch}
        />
      )}
      {dialog?.name === "rotate" && (
        <RotateDialog
          name={dialog.key.name}
          what="secret"
          onClose={close}
          onConfirm={async (overlap) => {
            const path = `keys/${encodeURIComponent(dialog.key.id)}/rotate`
            show((await api.send<{ key: NewKey }>("POST", path, { overlap })).key)
          }}
        />
      )}
      {dialog && dialog.name !== "create" && dialog.name !== "edit" && dialog.name !== "rotate" && (
        <KeyConfirm dialog={dialog} onClose={close} onChanged={keys.refetch} />
      )}
      {created && (
        <SecretDialog
          title="Copy your key now"
          code={created.key}
          copyLabel="Copy key"
          onClose={() => setCreated(undefined)}
        >
          <p>
            This is the secret key “{created.name}”. You won't see it again: the server stores only its hash.
            Store it with your other secrets.
          </p>
        </SecretDialog>
      )}
    </SettingsPage>
  )
}

type State = "active" | "revoked" | "disabled" | "expired"

function stateOf({ revokedAt, disabledAt, expiresAt }: Key, now: number): State {
  if (revokedAt !== null) return "revoked"
  if (disabledAt !== null) return "disabled"
  return expiresAt !== null && Date.parse(expiresAt) <= now ? "expired" : "active"
}

function KeyRow({ apiKey: key, openDialog }: { apiKey: Key; openDialog: (dialog: DialogState) => void }) {
  const { session, now } = useApp()
  const format = useFormat()
  const {
    name,
    start,
    scopes,
    websites,
    rateLimit,
    createdAt,
    expiresAt,
    lastUsedAt,
    previousStart,
    previousExpiresAt,
  } = key
  const isOverlapping = previousExpiresAt !== null && Date.parse(previousExpiresAt) > now()
  const state = stateOf(key, now())
  return (
    <Row
      title={name}
      badge={
        <>
          <code class="muted">{start}…</code> {state !== "active" && <span class="badge bad">{state}</span>}
        </>
      }
      facts={[
        ["Permissions", scopes.map((scope) => scopeTexts[scope].label).join(", "), "wide"],
        ["Websites", websitesText(websites, (id) => session.nameOf(id))],
        ["Last used", lastUsedAt === null ? "Never" : format.ago(lastUsedAt, now())],
        [state === "expired" ? "Expired" : "Expires", expiresAt === null ? "Never" : format.time(expiresAt)],
        ...(rateLimit === null ? [] : [["Requests per minute", format.count(rateLimit)] as const]),
        ["Created", format.day(createdAt)],
        ...(isOverlapping
          ? [
              [
                "Previous secret",
                `${previousStart}… works until ${format.time(previousExpiresAt)}`,
                "wide",
              ] as const,
            ]
          : []),
      ]}
      actions={
        state !== "revoked" && (
          <>
            <button
              type="button"
              class="button small"
              aria-label={`Edit ${name}`}
              onClick={() => openDialog({ name: "edit", key })}
            >
              Edit
            </button>
            <MoreMenu
              name={name}
              actions={[
                { label: "Rotate…", run: () => openDialog({ name: "rotate", key }) },
                ...(isOverlapping
                  ? [{ label: "Revoke previous secret…", run: () => openDialog({ name: "end", key }) }]
                  : []),
                state === "disabled"
                  ? { label: "Enable…", run: () => openDialog({ name: "enable", key }) }
                  : { label: "Disable…", run: () => openDialog({ name: "disable", key }) },
                { label: "Revoke…", run: () => openDialog({ name: "revoke", key }) },
              ]}
            />
          </>
        )
      }
    />
  )
}

const confirmations = {
  end: {
    action: "Revoke",
    text: "The previous secret will stop working immediately. The current secret will keep working.",
    done: "",
  },
  disable: {
    action: "Disable",
    text: "Requests with this key will be rejected until you enable it again.",
    done: "disabled",
  },
  enable: { action: "Enable", text: "Requests with this key will be accepted again.", done: "enabled" },
  revoke: {
    action: "Revoke",
    text: "Requests with this key will be rejected. This cannot be undone. To stop the key temporarily, disable it instead.",
    done: "revoked",
  },
} as const

interface KeyConfirmProps {
  dialog: { name: keyof typeof confirmations; key: Key }
  onClose: () => void
  onChanged: () => void
}

function KeyConfirm({ dialog: { name, key }, onClose, onChanged }: KeyConfirmProps) {
  const { api, toasts } = useApp()
  const { action, text, done } = confirmations[name]
  const path = `keys/${encodeURIComponent(key.id)}`
  return (
    <Confirm
      title={name === "end" ? `Revoke the previous secret for ${key.name}?` : `${action} ${key.name}?`}
      action={action}
      isHarmless={name === "enable"}
      onClose={onClose}
      onConfirm={async () => {
        if (name === "end") await api.send("DELETE", `${path}/overlap`)
        else if (name === "revoke") await api.send("DELETE", path)
        else await api.send("PATCH", path, { disabled: name === "disable" })
        toasts.show(name === "end" ? `Previous secret for “${key.name}” revoked` : `“${key.name}” ${done}`)
        onChanged()
      }}
    >
      <p>{text}</p>
    </Confirm>
  )
}
