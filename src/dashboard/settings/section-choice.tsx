import { useId } from "preact/hooks"
import { sections as allSections, type Section } from "../../sections.ts"
import { sectionTexts } from "./permissions.ts"

interface SectionChoiceProps {
  /** null for all. */
  sections: readonly Section[] | null
  onChange: (sections: Section[] | null) => void
}

/** Selects all sections of the dashboard or some of them. */
export function SectionChoice({ sections, onChange }: SectionChoiceProps) {
  const name = useId()
  return (
    <fieldset class="choices">
      <legend>Sections</legend>
      <label class="check">
        <input type="radio" name={name} checked={sections === null} onChange={() => onChange(null)} />
        All sections, including future ones
      </label>
      <label class="check">
        <input type="radio" name={name} checked={sections !== null} onChange={() => onChange([])} />
        Selected sections
      </label>
      {sections !== null && (
        <div class="settings-websites">
          {allSections.map((section) => (
            <label key={section} class="check settings-scope">
              <input
                type="checkbox"
                checked={sections.includes(section)}
                onChange={({ currentTarget }) =>
                  onChange(
                    allSections.filter((one) =>
                      one === section ? currentTarget.checked : sections.includes(one),
                    ),
                  )
                }
              />
              <span>
                {sectionTexts[section].label} <span class="muted">{sectionTexts[section].text}</span>
              </span>
            </label>
          ))}
        </div>
      )}
    </fieldset>
  )
}

/** The selection as text. */
export function sectionsText(sections: readonly Section[] | null): string {
  return sections === null ? "All" : sections.map((section) => sectionTexts[section].label).join(", ")
}
