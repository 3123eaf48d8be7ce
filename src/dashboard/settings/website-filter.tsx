import { homeSite } from "../components/layout/home.ts"
import { useApp } from "../state/app.ts"

/** The website whose annotations or views are listed, from the URL: an id, `none` or `all`. */
export function useWebsiteFilter(): string {
  const { router, session, preferences } = useApp()
  return router.location.value.params.get("website") ?? homeSite(session, preferences)
}

/** Selects the website to list. */
export function WebsiteFilter({ website }: { website: string }) {
  const { router, session } = useApp()
  const ids = [...session.sites.value.map(({ id }) => id), "all", "none"]
  return (
    <label class="inline-field">
      <span>Website</span>
      <select
        value={website}
        onChange={(event) => router.setParams({ website: event.currentTarget.value }, "replace")}
      >
        {ids.map((id) => (
          <option key={id} value={id}>
            {session.nameOf(id)}
          </option>
        ))}
      </select>
    </label>
  )
}
