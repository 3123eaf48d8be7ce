import { Link } from "../components/controls/link.tsx"
import { SearchField } from "../components/controls/search-field.tsx"
import { Page } from "../components/layout/page.tsx"
import { useApp } from "../state/app.ts"
import "./people.css"
import { Profiles } from "./profiles.tsx"
import { Visitors } from "./visitors.tsx"

const tabs = [
  { tab: "visitors", label: "Visitors", sought: "Look for a visitor's id" },
  { tab: "profiles", label: "Profiles", sought: "Look for a name, email or id" },
] as const

/** Who was there: visitors by their anonymous ids, and whom /identify told of. */
export function People() {
  const { place } = useApp()
  const { params } = place.spot.value
  const [visitors] = tabs
  const shown = tabs.find(({ tab }) => tab === params.get("tab")) ?? visitors
  const isProfiles = shown.tab === "profiles"
  const search = params.get("search") ?? ""
  return (
    <Page title="People" unranged={isProfiles} unfiltered={isProfiles}>
      <div class="people-bar">
        <nav class="segmented" aria-label="Whom to list">
          {tabs.map(({ tab, label }) => (
            <Link
              key={tab}
              href={place.with({ tab: tab === visitors.tab ? undefined : tab, page: undefined })}
              isCurrent={tab === shown.tab}
            >
              {label}
            </Link>
          ))}
        </nav>
        <SearchField
          label={shown.sought}
          value={search}
          pageKey="/"
          onSearch={(text) => place.set({ search: text || undefined, page: undefined }, "replace")}
        />
      </div>
      {isProfiles ? <Profiles search={search} /> : <Visitors search={search} />}
    </Page>
  )
}
