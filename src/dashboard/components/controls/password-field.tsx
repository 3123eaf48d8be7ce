import { useId, useState } from "preact/hooks"

/** Password length limits in UTF-16 code units, as on the server. */
const shortestPassword = 10
const longestPassword = 200

interface PasswordFieldProps {
  label: string
  value: string
  onInput: (value: string) => void
  /** Tells the browser's password manager which password the field holds. */
  kind: "current-password" | "new-password"
  autofocus?: boolean
}

/** A password input with a button to show the password. */
export function PasswordField({ label, value, onInput, kind, autofocus = false }: PasswordFieldProps) {
  const [isShown, setShown] = useState(false)
  const [isLeft, setLeft] = useState(false)
  const isTooShort = kind === "new-password" && isLeft && value.length > 0 && value.length < shortestPassword
  const id = useId()
  const isNew = kind === "new-password"
  const field = {
    id,
    name: "password",
    autocomplete: kind,
    autocapitalize: "off",
    spellcheck: false,
    required: true,
    maxLength: longestPassword,
    "data-autofocus": autofocus,
    "aria-describedby": isNew ? `${id}-hint` : undefined,
    "aria-invalid": isTooShort,
    value,
    onBlur: () => setLeft(true),
    onInput: (event: InputEvent & { currentTarget: HTMLInputElement }) => onInput(event.currentTarget.value),
  } as const
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <span class="password">
        {isShown ? <input {...field} type="text" /> : <input {...field} type="password" />}
        <button
          type="button"
          class="button quiet small"
          aria-label={`${isShown ? "Hide" : "Show"} ${label.toLowerCase()}`}
          onClick={() => setShown(!isShown)}
        >
          {isShown ? "Hide" : "Show"}
        </button>
      </span>
      {isNew && (
        <small id={`${id}-hint`} class={isTooShort ? "too-short" : undefined}>
          {isTooShort && `Too short (${value.length}). `}Use at least {shortestPassword} characters, and avoid
          common passwords.
        </small>
      )}
    </div>
  )
}
