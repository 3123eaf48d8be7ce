import { useState } from "preact/hooks"
import { Dialog } from "../components/controls/dialog.tsx"
import { Form } from "../components/controls/form.tsx"
import { useApp } from "../state/app.ts"

/** As the API shows it. */
export interface Website {
  id: string
  domain: string
  name: string
  allowedOrigins: string[]
  anonymize: "off" | "daily"
  /** `default`, `forever`, or how long, such as `90d`. */
  retain: string
  createdAt: string
  pausedAt: string | null
}

export function retainWords(retain: string): string {
  if (retain === "default") return "as the server says"
  if (retain === "forever") return "for ever"
  const days = daysOf(retain)
  return days === undefined ? retain : `${days} days`
}

function daysOf(retain: string): string | undefined {
  return /^(\d+)d$/.exec(retain)?.[1]
}

interface WebsiteFormProps {
  /** Undefined: a new one. */
  website?: Website
  onClose: () => void
  onDone: (website: Website) => Promise<void>
}

/** Makes a website, or changes one. */
export function WebsiteForm({ website, onClose, onDone }: WebsiteFormProps) {
  const { api, toasts } = useApp()
  const [domain, setDomain] = useState(website?.domain ?? "")
  const [name, setName] = useState(website?.name ?? "")
  const [hosts, setHosts] = useState(website?.allowedOrigins.join("\n") ?? "")
  const [retain, setRetain] = useState(website?.retain ?? "default")
  const [isHashed, setHashed] = useState(website?.anonymize === "daily")
  const submit = async () => {
    const allowedOrigins = hosts.split(/[\s,]+/).filter(Boolean)
    const anonymize = isHashed ? "daily" : "off"
    const body = { domain, ...(name.trim() === "" ? {} : { name }), allowedOrigins, anonymize, retain }
    const answer = website
      ? await api.send<{ website: Website }>("PATCH", `websites/${encodeURIComponent(website.id)}`, body)
      : await api.send<{ website: Website }>("POST", "websites", body)
    await onDone(answer.website)
    toasts.show(`${answer.website.name} is ${website ? "changed" : "added"}.`)
    onClose()
  }
  return (
    <Dialog title={website ? `Edit ${website.name}` : "Add a website"} onClose={onClose}>
      <Form action={website ? "Keep the changes" : "Add the website"} onSubmit={submit} onCancel={onClose}>
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
          <small>Its pages may send events, and those of its subdomains.</small>
        </label>
        <label class="field">
          Name
          <input
            maxLength={256}
            placeholder={domain}
            required={website !== undefined}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <small>For people to tell websites apart.</small>
        </label>
        <label class="field">
          Further hosts, one a line
          <textarea
            rows={2}
            autocapitalize="off"
            spellcheck={false}
            value={hosts}
            onInput={(event) => setHosts(event.currentTarget.value)}
          />
          <small>
            Hosts, such as shop.example.net, whose pages may send too, and origins of apps, such as
            capacitor://localhost. Once there is one, what says no origin, such as curl, needs a key.
          </small>
        </label>
        <Retention retain={retain} onChange={setRetain} />
        <div class="field">
          <label class="check">
            <input
              type="checkbox"
              checked={isHashed}
              onChange={(event) => setHashed(event.currentTarget.checked)}
            />
            Change visitors' ids every day
          </label>
          <small>
            Of an id only a hash is stored, which is another one each day (UTC): nobody can tell who it was,
            and whoever comes back on another day counts as somebody new.
          </small>
        </div>
      </Form>
    </Dialog>
  )
}

/** Days that are offered first. */
const offered = "365"

function Retention({ retain, onChange }: { retain: string; onChange: (retain: string) => void }) {
  const days = daysOf(retain)
  const isOther = days === undefined && retain !== "default" && retain !== "forever"
  return (
    <div class="settings-retain">
      <label class="field">
        Events are kept
        <select
          value={days === undefined ? retain : "days"}
          onChange={({ currentTarget: { value } }) => onChange(value === "days" ? `${offered}d` : value)}
        >
          <option value="default">As the server says (--retain)</option>
          <option value="forever">For ever</option>
          <option value="days">For some days</option>
          {isOther && <option value={retain}>{retain}</option>}
        </select>
        <small>Older ones are deleted for good.</small>
      </label>
      {days !== undefined && (
        <label class="field">
          Days
          <input
            type="number"
            required
            min={1}
            step={1}
            value={days}
            onInput={({ currentTarget: { value } }) => onChange(`${value}d`)}
          />
        </label>
      )}
    </div>
  )
}
