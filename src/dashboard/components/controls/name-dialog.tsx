import { useState } from "preact/hooks"
import { Dialog } from "./dialog.tsx"
import { Form } from "./form.tsx"

interface NameDialogProps {
  title: string
  /** Label of the submit button, a verb. */
  action: string
  /** The current name. */
  name?: string
  /** If the promise rejects, the error is shown. */
  onSubmit: (name: string) => Promise<void>
  onClose: () => void
}

/** Asks for a name. */
export function NameDialog({ title, action, name: initialName = "", onSubmit, onClose }: NameDialogProps) {
  const [name, setName] = useState(initialName)
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

/** A name input that is focused when its dialog opens. */
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
