import { useId } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import type { Theme } from "../../state/preferences.ts"

const themes: { theme: Theme; label: string }[] = [
  { theme: "system", label: "System" },
  { theme: "light", label: "Light" },
  { theme: "dark", label: "Dark" },
]

/** Selects the color theme for this browser. */
export function ThemeChoice() {
  const { theme: chosen } = useApp().preferences
  const name = useId()
  return (
    <fieldset class="choices">
      <legend>Appearance</legend>
      {themes.map(({ theme, label }) => (
        <label key={theme} class="check">
          <input
            type="radio"
            name={name}
            checked={chosen.value === theme}
            onChange={() => {
              chosen.value = theme
            }}
          />
          {label}
        </label>
      ))}
    </fieldset>
  )
}
