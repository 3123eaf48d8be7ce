import { useId } from "preact/hooks"
import { useApp } from "../state/app.ts"

interface WebsiteChoiceProps {
  /** null for all. */
  websites: readonly string[] | null
  onChange: (websites: string[] | null) => void
}

/** Selects all websites or some of them. */
export function WebsiteChoice({ websites, onChange }: WebsiteChoiceProps) {
  const { session } = useApp()
  const name = useId()
  return (
    <fieldset class="choices">
      <legend>Websites</legend>
      <label class="check">
        <input type="radio" name={name} checked={websites === null} onChange={() => onChange(null)} />
        All websites, including future ones and events without a website
      </label>
      <label class="check">
        <input type="radio" name={name} checked={websites !== null} onChange={() => onChange([])} />
        Selected websites
      </label>
      {websites !== null && (
        <div class="settings-websites">
          {session.sites.value.map(({ id, name, domain }) => (
            <label key={id} class="check">
              <input
                type="checkbox"
                checked={websites.includes(id)}
                onChange={({ currentTarget }) =>
                  onChange(
                    currentTarget.checked
                      ? [...websites, id]
                      : websites.filter((selected) => selected !== id),
                  )
                }
              />
              <span>
                {name} {name !== domain && <span class="muted">{domain}</span>}
              </span>
            </label>
          ))}
        </div>
      )}
    </fieldset>
  )
}

/** The selection as text. */
export function websitesText(websites: readonly string[] | null, nameOf: (id: string) => string): string {
  return websites === null ? "All" : websites.map(nameOf).join(", ")
}
