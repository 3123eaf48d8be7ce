import type { ComponentChildren } from "preact"
import { useState } from "preact/hooks"
import { messageOf } from "../../../errors.ts"
import { ApiError, sentence } from "../../state/api.ts"

interface FormProps {
  /** Label of the submit button, a verb. */
  action: string
  /** If the promise rejects, the error is shown above the buttons. */
  onSubmit: () => Promise<void>
  onCancel?: () => void
  /** Whether the action cannot be undone. */
  isDanger?: boolean
  /** Whether a required choice is missing. */
  isDisabled?: boolean
  children: ComponentChildren
}

/** A form that shows errors, and that cannot be submitted again until the action is done. */
export function Form({
  action,
  onSubmit,
  onCancel,
  isDanger = false,
  isDisabled = false,
  children,
}: FormProps) {
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState("")
  const submit = async () => {
    if (isBusy) return
    setBusy(true)
    setError("")
    try {
      await onSubmit()
    } catch (failure) {
      setError(errorText(failure))
    }
    setBusy(false)
  }
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault()
        void submit()
      }}
    >
      {children}
      {error && (
        <p class="form-error" role="alert">
          {error}
        </p>
      )}
      <div class="dialog-actions">
        {onCancel && (
          <button type="button" class="button" onClick={onCancel}>
            Cancel
          </button>
        )}
        <button
          type="submit"
          class={`button ${isDanger ? "danger" : "primary"}`}
          disabled={isDisabled}
          // `disabled` would take the focus away from the button, so the user could not just press it again after an
          // error.
          aria-disabled={isBusy}
        >
          {action}
        </button>
      </div>
    </form>
  )
}

/** Returns the error message, or one sentence per invalid field if the API names the fields. */
function errorText(error: unknown): string {
  if (!(error instanceof ApiError) || error.fields.length === 0) return messageOf(error)
  return error.fields.map(({ field, message }) => sentence(`${field} ${message}`)).join(" ")
}
