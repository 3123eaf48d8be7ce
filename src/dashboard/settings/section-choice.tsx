import { sections as allSections, type Section } from "../../sections.ts"
import { AllOrSome } from "./all-or-some.tsx"
import { sectionTexts } from "./permissions.ts"

interface SectionChoiceProps {
  /** null for all. */
  sections: readonly Section[] | null
  onChange: (sections: Section[] | null) => void
}

/** Selects all sections of the dashboard, or some of them. */
export function SectionChoice({ sections, onChange }: SectionChoiceProps) {
  const options = allSections.map((value) => {
    const { label, text } = sectionTexts[value]
    return {
      value,
      label: (
        <>
          {label} <span class="muted">{text}</span>
        </>
      ),
    }
  })
  return (
    <AllOrSome
      legend="Sections"
      all="All sections, including future ones"
      some="Selected sections"
      options={options}
      class="settings-scope"
      selected={sections}
      // Keeps the sections in navigation order.
      onChange={(chosen) => onChange(chosen && allSections.filter((section) => chosen.includes(section)))}
    />
  )
}

/** Returns the labels of the selected sections as text. */
export function sectionsText(sections: readonly Section[] | null): string {
  return sections === null ? "All" : sections.map((section) => sectionTexts[section].label).join(", ")
}
