import { homeSite } from "../components/layout/home.ts"
import { useApp } from "../state/app.ts"

/** The website whose notes or views are listed, as the address says it: an id, `none` or `all`. */
export function useListedWebsite(): string {
  const { place, session, preferences } = useApp()
  return place.spot.value.params.get("website") ?? homeSite(session, preferences)
}

/** Chooses it. */
export function ListedWebsite({ website }: { website: string }) {
  const { place, session } = useApp()
  const ids = [...session.sites.value.map(({ id }) => id), "all", "none"]
  return (
    <label class="inline-field">
      <span>Of</span>
      <select
        value={website}
        onChange={(event) => place.set({ website: event.currentTarget.value }, "replace")}
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
