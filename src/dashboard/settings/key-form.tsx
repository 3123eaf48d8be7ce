import { useState } from "preact/hooks"
import type { Scope } from "../../store/keys.ts"
import { Dialog } from "../components/controls/dialog.tsx"
import { Form } from "../components/controls/form.tsx"
import { useApp } from "../state/app.ts"
import { Expiry } from "./expiry.tsx"
import { scopeNames, scopeWords } from "./scopes.ts"
import { WebsiteChoice } from "./website-choice.tsx"

/** As the API shows it. */
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
}

/** The one answer that has the secret. */
export type NewKey = Key & { key: string }

interface KeyFormProps {
  /** Undefined: a new one. */
  of?: Key
  onClose: () => void
  onCreated: (key: NewKey) => void
  onChanged: () => void
}

/** Makes a key, or changes what one may do. */
export function KeyForm({ of: key, onClose, onCreated, onChanged }: KeyFormProps) {
  const { api, toasts } = useApp()
  const [name, setName] = useState(key?.name ?? "")
  const [scopes, setScopes] = useState<readonly Scope[]>(key?.scopes ?? ["track:events"])
  const [websites, setWebsites] = useState<string[] | null>(key?.websites ?? null)
  const [expiresAt, setExpiresAt] = useState(key?.expiresAt ?? null)
  const [rate, setRate] = useState(key?.rateLimit == null ? "" : String(key.rateLimit))
  const submit = async () => {
    const wanted = { name, scopes, websites, expiresAt, rateLimit: rate === "" ? null : Number(rate) }
    if (!key) {
      const made = await api.send<{ key: NewKey }>("POST", "keys", wanted)
      onClose()
      onCreated(made.key)
      return
    }
    await api.send("PATCH", `keys/${encodeURIComponent(key.id)}`, changesOf(wanted, key))
    toasts.show(`${name} is changed.`)
    onChanged()
    onClose()
  }
  return (
    <Dialog title={key ? `Edit ${key.name}` : "Make a key"} onClose={onClose}>
      <Form
        action={key ? "Keep the changes" : "Make the key"}
        isDisabled={scopes.length === 0 || websites?.length === 0}
        onSubmit={submit}
        onCancel={onClose}
      >
        <label class="field">
          Name
          <input
            required
            maxLength={256}
            placeholder="The shop's backend"
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <fieldset class="choices">
          <legend>It may</legend>
          {scopeNames.map((scope) => (
            <label key={scope} class="check settings-scope">
              <input
                type="checkbox"
                checked={scopes.includes(scope)}
                onChange={({ currentTarget }) =>
                  setScopes(
                    currentTarget.checked ? [...scopes, scope] : scopes.filter((one) => one !== scope),
                  )
                }
              />
              <span>
                {scopeWords[scope].label} <span class="muted">{scopeWords[scope].text}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <WebsiteChoice websites={websites} onChange={setWebsites} />
        <Expiry expiresAt={expiresAt} onChange={setExpiresAt} />
        <label class="field">
          Requests a minute
          <input
            type="number"
            min={1}
            max={1_000_000}
            step={1}
            placeholder="any number"
            value={rate}
            onInput={(event) => setRate(event.currentTarget.value)}
          />
        </label>
      </Form>
    </Dialog>
  )
}

/** What differs alone: an end that is over could not be given anew. */
function changesOf(wanted: object, key: Key): object {
  const known = new Map<string, unknown>(Object.entries(key))
  return Object.fromEntries(
    Object.entries(wanted).filter(
      ([field, value]) => JSON.stringify(value) !== JSON.stringify(known.get(field)),
    ),
  )
}
