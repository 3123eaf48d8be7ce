import { useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { parseFilters, peopleFields } from "../../state/filters.ts"
import { addDays, endOfDay } from "../../state/range.ts"
import { Dialog } from "../controls/dialog.tsx"
import { parseStep } from "../controls/event-picker.tsx"
import { Expiry } from "../controls/expiry.tsx"
import { Form } from "../controls/form.tsx"
import { NameField } from "../controls/name-dialog.tsx"
import { SecretDialog } from "../controls/secret-dialog.tsx"

/** Lifetime of a link in days unless another is selected. */
const defaultDays = 30

/** Creates a share link to the current view, for people without an account. */
export function ShareView({ onClose }: { onClose: () => void }) {
  const { api, router, view, session } = useApp()
  const [name, setName] = useState("")
  const [link, setLink] = useState<string>()
  const { website, today } = view.value
  const [expiresAt, setExpiresAt] = useState<string | null>(endOfDay(addDays(today, defaultDays)))
  if (identifiesPeople(router.location.value.params)) {
    return (
      <Dialog title="Create share link" onClose={onClose} closeLabel="Close">
        <p>
          Share links cannot show individual visitors, profiles or sessions. Remove the filters and breakdowns
          that use them first.
        </p>
      </Dialog>
    )
  }
  if (link !== undefined) {
    return (
      <SecretDialog title="Create share link" code={link} copyLabel="Copy link" onClose={onClose}>
        <p>
          Anyone with this link can see the reports of {session.nameOf(website)}, but no individual visitors
          and no settings. Copy it now: you won't see it again. Revoke it in Settings → Share links.
        </p>
      </SecretDialog>
    )
  }
  return (
    <Dialog title="Create share link" onClose={onClose}>
      <p class="muted">
        Read-only. Opens this view and gives access to the reports of {session.nameOf(website)}.
      </p>
      <Form
        action="Create link"
        onCancel={onClose}
        onSubmit={async () => {
          const path = router.viewPath({ tz: view.value.zone })
          const body = { name, path, expiresAt }
          const created = await api.send<{ link: string }>(
            "POST",
            `shares?website_id=${encodeURIComponent(website)}`,
            body,
          )
          setLink(router.serverUrl + created.link)
        }}
      >
        <NameField label="Name" value={name} onInput={setName} />
        <Expiry expiresAt={expiresAt} initialDays={defaultDays} onChange={setExpiresAt} />
      </Form>
    </Dialog>
  )
}

/** Whether a filter of the page or of a step, or a breakdown, uses a field that identifies people. */
function identifiesPeople(params: URLSearchParams): boolean {
  const steps = [...params.values()].flatMap((value) => parseStep(value).filters)
  const fields = [...parseFilters(params), ...steps].map(({ field }) => field)
  return [...fields, ...params.getAll("split")].some((field) => peopleFields.includes(field))
}
