import { useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { peopleFields, readFilters } from "../../state/filters.ts"
import { plusDays } from "../../state/range.ts"
import { Dialog } from "../controls/dialog.tsx"
import { readStep } from "../controls/event-picker.tsx"
import { Form } from "../controls/form.tsx"
import { NameField } from "../controls/name-dialog.tsx"
import { SecretDialog } from "../controls/secret-dialog.tsx"

/** Days that a link works, to choose from; '' for ever. */
const lifetimes = [
  { days: "7", label: "7 days" },
  { days: "30", label: "30 days" },
  { days: "90", label: "90 days" },
  { days: "365", label: "a year" },
  { days: "", label: "until it is revoked" },
]

/** Makes a link to what is looked at, for people without a login. */
export function ShareView({ onClose }: { onClose: () => void }) {
  const { api, place, view, session } = useApp()
  const [name, setName] = useState("")
  const [days, setDays] = useState("30")
  const [link, setLink] = useState<string>()
  const { website, today } = view.value
  if (namesPeople(place.spot.value.params)) {
    return (
      <Dialog title="Share by a link" onClose={onClose} closing="Close">
        <p>
          This view names single visitors, profiles or sessions, and a link shows none: take such filters and
          breakdowns away first.
        </p>
      </Dialog>
    )
  }
  if (link !== undefined) {
    return (
      <SecretDialog title="Share by a link" code={link} copy="Copy the link" closing="Done" onClose={onClose}>
        <p>
          Whoever has this link sees the reports of {session.nameOf(website)}, but no single visitors and no
          settings. It is shown this once; revoke it under Settings, Share links.
        </p>
      </SecretDialog>
    )
  }
  return (
    <Dialog title="Share by a link" onClose={onClose}>
      <p class="muted">
        For reading alone: it opens on this view, with the reports of {session.nameOf(website)}.
      </p>
      <Form
        action="Make the link"
        onCancel={onClose}
        onSubmit={async () => {
          const expiresAt = days === "" ? null : `${plusDays(today, Number(days))}T23:59:59Z`
          const path = place.viewWith({ tz: view.value.zone })
          const body = { name, path, expiresAt }
          const made = await api.send<{ link: string }>(
            "POST",
            `shares?website_id=${encodeURIComponent(website)}`,
            body,
          )
          setLink(place.origin + made.link)
        }}
      >
        <NameField label="Name, for the list of links" value={name} onInput={setName} />
        <label class="field">
          It works for
          <select value={days} onChange={(event) => setDays(event.currentTarget.value)}>
            {lifetimes.map((one) => (
              <option key={one.days} value={one.days}>
                {one.label}
              </option>
            ))}
          </select>
        </label>
      </Form>
    </Dialog>
  )
}

/** In filters of the page or of a step, or in what it is broken down by. */
function namesPeople(params: URLSearchParams): boolean {
  const steps = [...params.values()].flatMap((value) => readStep(value).filters)
  const fields = [...readFilters(params), ...steps].map(({ field }) => field)
  return [...fields, ...params.getAll("split")].some((field) => peopleFields.includes(field))
}
