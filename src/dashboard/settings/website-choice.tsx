import { useId } from "preact/hooks"
import { useApp } from "../state/app.ts"

interface WebsiteChoiceProps {
  /** null: all. */
  websites: readonly string[] | null
  onChange: (websites: string[] | null) => void
}

/** All websites, or some. */
export function WebsiteChoice({ websites, onChange }: WebsiteChoiceProps) {
  const { session } = useApp()
  const name = useId()
  return (
    <fieldset class="choices">
      <legend>Websites</legend>
      <label class="check">
        <input type="radio" name={name} checked={websites === null} onChange={() => onChange(null)} />
        All, also those to come and what comes without a website
      </label>
      <label class="check">
        <input type="radio" name={name} checked={websites !== null} onChange={() => onChange([])} />
        Only these
      </label>
      {websites !== null && (
        <div class="settings-some">
          {session.sites.value.map(({ id, name, domain }) => (
            <label key={id} class="check">
              <input
                type="checkbox"
                checked={websites.includes(id)}
                onChange={({ currentTarget }) =>
                  onChange(currentTarget.checked ? [...websites, id] : websites.filter((one) => one !== id))
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

/** What a list says of it. */
export function websitesText(websites: readonly string[] | null, nameOf: (id: string) => string): string {
  return websites === null ? "All" : websites.map(nameOf).join(", ")
}
