import { Link } from "../components/controls/link.tsx"
import { SearchField } from "../components/controls/search-field.tsx"
import { Page } from "../components/layout/page.tsx"
import { isInRange, parseSelection, type Selection, selectedUnit } from "../components/people/selection.ts"
import { useApp } from "../state/app.ts"
import "./people.css"
import { MatchingProfiles, Profiles, useMatchingProfiles } from "./profiles.tsx"
import { NoneSelected } from "./selected.tsx"
import { SelectionChip } from "./selection-chip.tsx"
import { Sessions } from "./sessions.tsx"
import { Visitors } from "./visitors.tsx"

const tabs = [
  { tab: "visitors", label: "Visitors" },
  { tab: "profiles", label: "Profiles" },
] as const

/** Lists people: visitors (anonymous IDs) or profiles (identified with /identify). */
export function People() {
  const { router } = useApp()
  const { params } = router.location.value
  const [visitors] = tabs
  const current = tabs.find(({ tab }) => tab === params.get("tab")) ?? visitors
  const isProfiles = current.tab === "profiles"
  const search = params.get("search") ?? ""
  const selection = parseSelection(params)
  const matching = useMatchingProfiles(isProfiles ? "" : search)
  if (selection) return <SelectedPeople key={params.get("of")} selection={selection} />
  return (
    <Page title="People" unranged={isProfiles} unfiltered={isProfiles}>
      <div class="people-bar">
        <nav class="segmented" aria-label="Visitors or profiles">
          {tabs.map(({ tab, label }) => (
            <Link
              key={tab}
              href={router.hrefWith({ tab: tab === visitors.tab ? undefined : tab, page: undefined })}
              isCurrent={tab === current.tab}
            >
              {label}
            </Link>
          ))}
        </nav>
        <SearchField
          label="Search by name, email or ID"
          value={search}
          pageKey="/"
          autofocus
          onSearch={(text) => router.setParams({ search: text || undefined, page: undefined }, "replace")}
        />
      </div>
      {isProfiles ? (
        <Profiles search={search} />
      ) : (
        <>
          {search !== "" && <MatchingProfiles search={search} profiles={matching} />}
          <Visitors search={search} hasProfiles={(matching.data?.total ?? 0) > 0} />
        </>
      )}
    </Page>
  )
}

/** The people behind a number in a report. */
function SelectedPeople({ selection }: { selection: Selection }) {
  const { view } = useApp()
  const unit = selectedUnit(selection)
  return (
    <Page title="People">
      <div class="people-bar">
        <SelectionChip selection={selection} />
      </div>
      {!isInRange(selection, view.value.range) ? (
        <section class="panel">
          <NoneSelected unit={unit} />
        </section>
      ) : unit.value === "session" ? (
        <Sessions selection={selection} />
      ) : (
        <Visitors selection={selection} />
      )}
    </Page>
  )
}
