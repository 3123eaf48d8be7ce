import { useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import type { Note } from "../../state/notes.ts"
import { Dialog } from "../controls/dialog.tsx"
import { Form } from "../controls/form.tsx"

interface NoteFormProps {
  website: string
  /** Undefined: a new one. */
  note?: Note
  /** On whose charts a new one stands. */
  about?: string
  onClose: () => void
}

/** Writes a note on a day, or changes one. */
export function AnnotationForm({ website, note, about, onClose }: NoteFormProps) {
  const { api, view, toasts } = useApp()
  const [date, setDate] = useState(note?.date ?? view.value.today)
  const [text, setText] = useState(note?.text ?? "")
  return (
    <Dialog title={note ? "Edit the note" : "Write a note"} onClose={onClose}>
      {about !== undefined && (
        <p class="muted">Shown on the charts of {about}: a release, a campaign, an outage.</p>
      )}
      <Form
        action="Keep the note"
        onCancel={onClose}
        onSubmit={async () => {
          if (note) await api.send("PATCH", `notes/${encodeURIComponent(note.id)}`, { date, text })
          else await api.send("POST", `notes?website_id=${encodeURIComponent(website)}`, { date, text })
          toasts.show("The note is on the charts.")
          onClose()
        }}
      >
        <label class="field">
          Day
          <input type="date" required value={date} onInput={(event) => setDate(event.currentTarget.value)} />
        </label>
        <label class="field">
          Note
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
