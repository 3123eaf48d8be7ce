import { useState } from "preact/hooks"
import { Confirm } from "../components/controls/dialog.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { SecretDialog } from "../components/controls/secret-dialog.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { useResource } from "../state/resource.ts"
import { type Key, KeyForm, type NewKey } from "./key-form.tsx"
import { List, More, Row } from "./list.tsx"
import { scopeWords } from "./scopes.ts"
import { SettingsPage } from "./settings-page.tsx"
import { websitesText } from "./website-choice.tsx"

type Asked = { what: "create" } | { what: "edit"; key: Key } | { what: keyof typeof questions; key: Key }

export function Keys() {
  const keys = useResource<{ keys: Key[] }>("keys")
  const [asked, setAsked] = useState<Asked>()
  const [made, setMade] = useState<NewKey>()
  const close = () => setAsked(undefined)
  const show = (key: NewKey) => {
    setMade(key)
    keys.again()
  }
  const create = (
    <button type="button" class="button primary" onClick={() => setAsked({ what: "create" })}>
      <Icon name="plus" /> Make a key
    </button>
  )
  const rows = (isRevoked: boolean) => (answer: { keys: Key[] }) =>
    answer.keys
      .filter(({ revokedAt }) => (revokedAt !== null) === isRevoked)
      .map((key) => <KeyRow key={key.id} of={key} ask={setAsked} />)
  const revoked = keys.data?.keys.filter(({ revokedAt }) => revokedAt !== null).length ?? 0
  return (
    <SettingsPage name="keys" title="Keys" actions={create}>
      <Panel
        title="API keys"
        hint="For servers and scripts, which can keep a secret. A page sends its events with the website's id alone."
      >
        <List
          name="API keys"
          of={keys}
          empty={
            <Empty title="No key yet">
              Make one above to send events from a server, or to ask for numbers.
            </Empty>
          }
          rows={rows(false)}
        />
        {revoked > 0 && (
          <details class="settings-revoked">
            <summary>
              {revoked === 1 ? "1 key that was revoked" : `${revoked} keys that were revoked`}
            </summary>
            <List name="Revoked keys" of={keys} empty={null} rows={rows(true)} />
          </details>
        )}
      </Panel>
      {(asked?.what === "create" || asked?.what === "edit") && (
        <KeyForm
          {...(asked.what === "edit" ? { of: asked.key } : {})}
          onClose={close}
          onCreated={show}
          onChanged={keys.again}
        />
      )}
      {asked && asked.what !== "create" && asked.what !== "edit" && (
        <Question asked={asked} onClose={close} onChanged={keys.again} onRotated={show} />
      )}
      {made && (
        <SecretDialog
          title="Take the key now"
          code={made.key}
          copy="Copy the key"
          onClose={() => setMade(undefined)}
        >
          <p>
            This is the key “{made.name}”. It is shown this once: only a hash of it is kept. Put it where your
            program keeps its secrets.
          </p>
        </SecretDialog>
      )}
    </SettingsPage>
  )
}

type State = "works" | "revoked" | "disabled" | "expired"

function stateOf({ revokedAt, disabledAt, expiresAt }: Key, now: number): State {
  if (revokedAt !== null) return "revoked"
  if (disabledAt !== null) return "disabled"
  return expiresAt !== null && Date.parse(expiresAt) <= now ? "expired" : "works"
}

function KeyRow({ of: key, ask }: { of: Key; ask: (asked: Asked) => void }) {
  const { session, now } = useApp()
  const format = useFormat()
  const { name, start, scopes, websites, rateLimit, createdAt, expiresAt, lastUsedAt } = key
  const state = stateOf(key, now())
  return (
    <Row
      title={name}
      badge={
        <>
          <code class="muted">{start}…</code> {state !== "works" && <span class="badge bad">{state}</span>}
        </>
      }
      facts={[
        ["It may", scopes.map((scope) => scopeWords[scope].label.toLowerCase()).join(", "), "wide"],
        ["Websites", websitesText(websites, (id) => session.nameOf(id))],
        ["Last used", lastUsedAt === null ? "never" : format.ago(lastUsedAt, now())],
        [state === "expired" ? "Stopped" : "Stops", expiresAt === null ? "never" : format.time(expiresAt)],
        ...(rateLimit === null ? [] : [["Requests a minute", format.count(rateLimit)] as const]),
        ["Made", format.day(createdAt)],
      ]}
      actions={
        state !== "revoked" && (
          <>
            <button
              type="button"
              class="button small"
              aria-label={`Edit ${name}`}
              onClick={() => ask({ what: "edit", key })}
            >
              Edit
            </button>
            <More
              name={name}
              choices={[
                { label: "Rotate…", run: () => ask({ what: "rotate", key }) },
                state === "disabled"
                  ? { label: "Enable…", run: () => ask({ what: "enable", key }) }
                  : { label: "Disable…", run: () => ask({ what: "disable", key }) },
                { label: "Revoke…", run: () => ask({ what: "revoke", key }) },
              ]}
            />
          </>
        )
      }
    />
  )
}

const questions = {
  rotate: {
    action: "Rotate",
    text: "It gets a new secret, which is shown once; the old one stops working at once. Name, scopes and websites stay.",
    done: "has a new secret",
  },
  disable: {
    action: "Disable",
    text: "Whatever is sent with it is refused until it is enabled again.",
    done: "is disabled",
  },
  enable: { action: "Enable", text: "It works again, as before.", done: "works again" },
  revoke: {
    action: "Revoke",
    text: "Whatever is sent with it is refused from now on. This cannot be taken back; to stop it for a while, disable it.",
    done: "is revoked",
  },
} as const

interface QuestionProps {
  asked: { what: keyof typeof questions; key: Key }
  onClose: () => void
  onChanged: () => void
  onRotated: (key: NewKey) => void
}

function Question({ asked: { what, key }, onClose, onChanged, onRotated }: QuestionProps) {
  const { api, toasts } = useApp()
  const { action, text, done } = questions[what]
  const path = `keys/${encodeURIComponent(key.id)}`
  return (
    <Confirm
      title={`${action} ${key.name}?`}
      action={action}
      isHarmless={what === "enable"}
      onClose={onClose}
      onConfirm={async () => {
        if (what === "rotate") {
          onRotated((await api.send<{ key: NewKey }>("POST", `${path}/rotate`)).key)
          return
        }
        if (what === "revoke") await api.send("DELETE", path)
        else await api.send("PATCH", path, { disabled: what === "disable" })
        toasts.show(`${key.name} ${done}.`)
        onChanged()
      }}
    >
      <p>{text}</p>
    </Confirm>
  )
}
