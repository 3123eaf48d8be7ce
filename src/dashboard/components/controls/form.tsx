import type { ComponentChildren } from "preact"
import { useState } from "preact/hooks"
import { ApiError, messageOf, sentence } from "../../state/api.ts"

interface FormProps {
  /** What the button says: what it does. */
  action: string
  /** What it rejects with is shown. */
  onSubmit: () => Promise<void>
  onCancel?: () => void
  /** It cannot be taken back. */
  isDanger?: boolean
  /** Something must be chosen first. */
  isDisabled?: boolean
  children: ComponentChildren
}

/** Fields, and a button that is told what went wrong. */
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
      setError(explained(failure))
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
          // A button that is disabled loses the focus, and this one is pressed again where it failed.
          aria-disabled={isBusy}
        >
          {action}
        </button>
      </div>
    </form>
  )
}

/** The message, and each bad field where the API names them. */
function explained(error: unknown): string {
  if (!(error instanceof ApiError) || error.fields.length === 0) return messageOf(error)
  return error.fields.map(({ field, message }) => sentence(`${field} ${message}`)).join(" ")
}
