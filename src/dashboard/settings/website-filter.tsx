import { Select } from "../components/controls/select.tsx"
import { homeSite } from "../components/layout/home.ts"
import { useApp } from "../state/app.ts"

/**
 * Returns the website whose annotations or views are listed: an ID, `none` or `all`. If the URL has no `website`
 * parameter, returns the default website.
 */
export function useWebsiteFilter(): string {
  const { router, session, preferences } = useApp()
  return router.location.value.params.get("website") ?? homeSite(session, preferences)
}

/** Selects the website whose annotations or views are listed. */
export function WebsiteFilter({ website }: { website: string }) {
  const { router, session } = useApp()
  const ids = [...session.sites.value.map(({ id }) => id), "all", "none"]
  return (
    <label class="inline-field">
      <span>Website</span>
      <Select
        value={website}
        options={ids.map((id) => ({ value: id, label: session.nameOf(id) }))}
        onChange={(selected) => router.setParams({ website: selected }, "replace")}
      />
    </label>
  )
}
