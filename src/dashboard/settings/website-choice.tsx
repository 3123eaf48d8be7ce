import { useApp } from "../state/app.ts"
import { AllOrSome } from "./all-or-some.tsx"

interface WebsiteChoiceProps {
  /** null for all. */
  websites: readonly string[] | null
  onChange: (websites: string[] | null) => void
}

/** Selects all websites, or some of them. */
export function WebsiteChoice({ websites, onChange }: WebsiteChoiceProps) {
  const { session } = useApp()
  const options = session.sites.value.map(({ id, name, domain }) => ({
    value: id,
    label: (
      <>
        {name} {name !== domain && <span class="muted">{domain}</span>}
      </>
    ),
  }))
  return (
    <AllOrSome
      legend="Websites"
      all="All websites, including future ones, and events without a website"
      some="Selected websites"
      options={options}
      selected={websites}
      onChange={onChange}
    />
  )
}

/** Returns the names of the selected websites as text. */
export function websitesText(websites: readonly string[] | null, nameOf: (id: string) => string): string {
  return websites === null ? "All" : websites.map(nameOf).join(", ")
}
