import { useState } from "preact/hooks"
import { CheckField } from "../components/controls/check-field.tsx"
import { Dialog } from "../components/controls/dialog.tsx"
import { Form } from "../components/controls/form.tsx"
import { Select } from "../components/controls/select.tsx"
import { useApp } from "../state/app.ts"

/** A website, as returned by the API. */
export interface Website {
  id: string
  domain: string
  name: string
  allowedOrigins: string[]
  anonymize: "off" | "daily"
  /** `default`, `forever`, or a duration such as `90d`. */
  retain: string
  pageIdentify: boolean
  createdAt: string
  pausedAt: string | null
}

export function retentionText(retain: string): string {
  if (retain === "default") return "Server default"
  if (retain === "forever") return "Forever"
  const days = daysOf(retain)
  return days === undefined ? retain : `${days} days`
}

function daysOf(retain: string): string | undefined {
  return /^(\d+)d$/.exec(retain)?.[1]
}

interface WebsiteFormProps {
  /** Undefined for a new website. */
  website?: Website
  onClose: () => void
  onDone: (website: Website) => Promise<void>
}

/** Creates or edits a website. */
export function WebsiteForm({ website, onClose, onDone }: WebsiteFormProps) {
  const { api, toasts } = useApp()
  const [domain, setDomain] = useState(website?.domain ?? "")
  const [name, setName] = useState(website?.name ?? "")
  const [hosts, setHosts] = useState(website?.allowedOrigins.join("\n") ?? "")
  const [retain, setRetain] = useState(website?.retain ?? "default")
  const [isHashed, setHashed] = useState(website?.anonymize === "daily")
  const [pageIdentify, setPageIdentify] = useState(website?.pageIdentify ?? true)
  const submit = async () => {
    const allowedOrigins = hosts.split(/[\s,]+/).filter(Boolean)
    const anonymize = isHashed ? "daily" : "off"
    const body = {
      domain,
      ...(name.trim() === "" ? {} : { name }),
      allowedOrigins,
      anonymize,
      retain,
      pageIdentify,
    }
    const saved = website
      ? await api.send<{ website: Website }>("PATCH", `websites/${encodeURIComponent(website.id)}`, body)
      : await api.send<{ website: Website }>("POST", "websites", body)
    await onDone(saved.website)
    toasts.show(`${saved.website.name} ${website ? "updated" : "added"}`)
    onClose()
  }
  return (
    <Dialog title={website ? `Edit ${website.name}` : "Add website"} onClose={onClose}>
      <Form action={website ? "Save changes" : "Add website"} onSubmit={submit} onCancel={onClose}>
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
          <small>Pages on this domain and its subdomains can send events.</small>
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
          <small>Shown in the dashboard.</small>
        </label>
        <label class="field">
          Other allowed hosts (one per line)
          <textarea
            rows={2}
            autocapitalize="off"
            spellcheck={false}
            value={hosts}
            onInput={(event) => setHosts(event.currentTarget.value)}
          />
          <small>
            Hosts such as shop.example.net, or app origins such as capacitor://localhost. Once you add one,
            requests without an Origin header, for example from curl, need an API key.
          </small>
        </label>
        <Retention retain={retain} onChange={setRetain} />
        <CheckField label="Anonymize visitors daily" isChecked={isHashed} onChange={setHashed}>
          Stores a hash that changes daily (UTC) instead of each visitor's ID. Returning visitors count as new
          each day.
        </CheckField>
        <CheckField label="Let pages identify visitors" isChecked={pageIdentify} onChange={setPageIdentify}>
          Anyone can imitate a page, so visitor data sent by pages is marked as claimed and never overwrites
          data sent with an API key.
        </CheckField>
      </Form>
    </Dialog>
  )
}

/** Number of days in the field that appears when the user selects “Number of days”. */
const defaultDays = "365"

function Retention({ retain, onChange }: { retain: string; onChange: (retain: string) => void }) {
  const days = daysOf(retain)
  const isOther = days === undefined && retain !== "default" && retain !== "forever"
  return (
    <div class="settings-retain">
      <label class="field">
        Data retention
        <Select
          value={days === undefined ? retain : "days"}
          options={[
            { value: "default", label: "Server default (--retain)" },
            { value: "forever", label: "Forever" },
            { value: "days", label: "Number of days" },
            ...(isOther ? [{ value: retain, label: retain }] : []),
          ]}
          onChange={(value) => onChange(value === "days" ? `${defaultDays}d` : value)}
        />
        <small>Older events are deleted permanently.</small>
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
