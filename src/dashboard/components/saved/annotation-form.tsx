import { useState } from "preact/hooks"
import type { Annotation } from "../../state/annotations.ts"
import { useApp } from "../../state/app.ts"
import { Dialog } from "../controls/dialog.tsx"
import { Form } from "../controls/form.tsx"

interface AnnotationFormProps {
  website: string
  /** Undefined for a new annotation. */
  annotation?: Annotation
  /** Name of the website whose charts will show a new annotation. */
  websiteName?: string
  /** The initial date of a new annotation. Default: today. */
  date?: string
  onClose: () => void
}

/** Creates or edits an annotation. */
export function AnnotationForm({
  website,
  annotation,
  websiteName,
  date: initialDate,
  onClose,
}: AnnotationFormProps) {
  const { api, view, toasts } = useApp()
  const [date, setDate] = useState(annotation?.date ?? initialDate ?? view.value.today)
  const [text, setText] = useState(annotation?.text ?? "")
  return (
    <Dialog title={annotation ? "Edit annotation" : "Add annotation"} onClose={onClose}>
      {websiteName !== undefined && (
        <p class="muted">Shown on the charts of {websiteName}. Mark a release, a campaign or an outage.</p>
      )}
      <Form
        action="Save"
        onCancel={onClose}
        onSubmit={async () => {
          if (annotation)
            await api.send("PATCH", `notes/${encodeURIComponent(annotation.id)}`, { date, text })
          else await api.send("POST", `notes?website_id=${encodeURIComponent(website)}`, { date, text })
          toasts.show("Annotation saved")
          onClose()
        }}
      >
        <label class="field">
          Date
          <input type="date" required value={date} onInput={(event) => setDate(event.currentTarget.value)} />
        </label>
        <label class="field">
          Text
          <input
            data-autofocus
            required
            maxLength={500}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
      </Form>
    </Dialog>
  )
}
