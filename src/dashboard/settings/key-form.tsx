import { useState } from "preact/hooks"
import type { Scope } from "../../store/keys.ts"
import { Dialog } from "../components/controls/dialog.tsx"
import { Expiry } from "../components/controls/expiry.tsx"
import { Form } from "../components/controls/form.tsx"
import { useApp } from "../state/app.ts"
import { scopeNames, scopeTexts } from "./permissions.ts"
import { WebsiteChoice } from "./website-choice.tsx"

/** An API key, as returned by the API. */
export interface Key {
  id: string
  name: string
  start: string
  scopes: Scope[]
  websites: string[] | null
  rateLimit: number | null
  createdAt: string
  expiresAt: string | null
  disabledAt: string | null
  revokedAt: string | null
  lastUsedAt: string | null
  previousStart: string | null
  previousExpiresAt: string | null
}

/** A new or rotated key. `key` is the secret, which no other response contains. */
export type NewKey = Key & { key: string }

interface KeyFormProps {
  /** Undefined for a new key. */
  apiKey?: Key
  onClose: () => void
  onCreated: (key: NewKey) => void
  onChanged: () => void
}

/** Creates or edits an API key. */
export function KeyForm({ apiKey: key, onClose, onCreated, onChanged }: KeyFormProps) {
  const { api, toasts } = useApp()
  const [name, setName] = useState(key?.name ?? "")
  const [scopes, setScopes] = useState<readonly Scope[]>(key?.scopes ?? ["track:events"])
  const [websites, setWebsites] = useState<string[] | null>(key?.websites ?? null)
  const [expiresAt, setExpiresAt] = useState(key?.expiresAt ?? null)
  const [rate, setRate] = useState(key?.rateLimit == null ? "" : String(key.rateLimit))
  const submit = async () => {
    const input = { name, scopes, websites, expiresAt, rateLimit: rate === "" ? null : Number(rate) }
    if (!key) {
      const created = await api.send<{ key: NewKey }>("POST", "keys", input)
      onClose()
      onCreated(created.key)
      return
    }
    await api.send("PATCH", `keys/${encodeURIComponent(key.id)}`, changedFields(input, key))
    toasts.show(`“${name}” updated`)
    onChanged()
    onClose()
  }
  return (
    <Dialog title={key ? `Edit ${key.name}` : "Create key"} onClose={onClose}>
      <Form
        action={key ? "Save changes" : "Create key"}
        isDisabled={scopes.length === 0 || websites?.length === 0}
        onSubmit={submit}
        onCancel={onClose}
      >
        <label class="field">
          Name
          <input
            required
            maxLength={256}
            placeholder="Shop backend"
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <fieldset class="choices">
          <legend>Permissions</legend>
          {scopeNames.map((scope) => (
            <label key={scope} class="check settings-scope">
              <input
                type="checkbox"
                checked={scopes.includes(scope)}
                onChange={({ currentTarget }) =>
                  setScopes(
                    currentTarget.checked
                      ? [...scopes, scope]
                      : scopes.filter((selected) => selected !== scope),
                  )
                }
              />
              <span>
                {scopeTexts[scope].label} <span class="muted">{scopeTexts[scope].text}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <WebsiteChoice websites={websites} onChange={setWebsites} />
        <Expiry expiresAt={expiresAt} onChange={setExpiresAt} />
        <label class="field">
          Requests per minute
          <input
            type="number"
            min={1}
            max={1_000_000}
            step={1}
            placeholder="Unlimited"
            value={rate}
            onInput={(event) => setRate(event.currentTarget.value)}
          />
        </label>
      </Form>
    </Dialog>
  )
}

/**
 * Returns only the changed fields, because the API rejects an expiry date in the past even if the date is unchanged.
 */
function changedFields(input: object, key: Key): object {
  const current = new Map<string, unknown>(Object.entries(key))
  return Object.fromEntries(
    Object.entries(input).filter(
      ([field, value]) => JSON.stringify(value) !== JSON.stringify(current.get(field)),
    ),
  )
}
