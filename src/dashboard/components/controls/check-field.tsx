import type { ComponentChildren } from "preact"

interface CheckFieldProps {
  label: string
  isChecked: boolean
  onChange: (isChecked: boolean) => void
  /** What the option does; shown below the label. */
  children: ComponentChildren
}

/** A checkbox with a description. */
export function CheckField({ label, isChecked, onChange, children }: CheckFieldProps) {
  return (
    <div class="field">
      <label class="check">
        <input
          type="checkbox"
          checked={isChecked}
          onChange={(event) => onChange(event.currentTarget.checked)}
        />
        {label}
      </label>
      <small>{children}</small>
    </div>
  )
}
