import { useState } from "preact/hooks"
import { Dialog } from "./dialog.tsx"
import { Form } from "./form.tsx"

interface NameDialogProps {
  title: string
  /** What the button says: what it does. */
  action: string
  /** The name that it has. */
  name?: string
  /** What it rejects with is shown. */
  onSubmit: (name: string) => Promise<void>
  onClose: () => void
}

/** Asks what something is to be called. */
export function NameDialog({ title, action, name: before = "", onSubmit, onClose }: NameDialogProps) {
  const [name, setName] = useState(before)
  return (
    <Dialog title={title} onClose={onClose}>
      <Form
        action={action}
        onCancel={onClose}
        onSubmit={async () => {
          await onSubmit(name)
          onClose()
        }}
      >
        <NameField label="Name" value={name} onInput={setName} />
      </Form>
    </Dialog>
  )
}

interface NameFieldProps {
  label: string
  value: string
  onInput: (name: string) => void
}

/** What something is called, first in its window. */
export function NameField({ label, value, onInput }: NameFieldProps) {
  return (
    <label class="field">
      {label}
      <input
        data-autofocus
        required
        maxLength={256}
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </label>
  )
}
