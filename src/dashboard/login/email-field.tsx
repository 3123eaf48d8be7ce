interface EmailFieldProps {
  value: string
  onInput: (value: string) => void
  /** Whether the one-time link determines the email address, so that the user cannot change it. */
  isReadOnly?: boolean
}

/**
 * A field for the email address of an account, with attributes that password managers recognize. It gets the focus
 * unless it is read-only.
 */
export function EmailField({ value, onInput, isReadOnly = false }: EmailFieldProps) {
  return (
    <label class="field">
      Email
      <input
        type="email"
        name="email"
        autocomplete="username"
        autocapitalize="off"
        spellcheck={false}
        required
        readOnly={isReadOnly}
        data-autofocus={!isReadOnly}
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </label>
  )
}
