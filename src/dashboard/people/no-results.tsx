import { Link } from "../components/controls/link.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"

/** Nobody fits the search, or the list is not that long. */
export function NoResults({ what, search }: { what: "visitor" | "profile"; search: string }) {
  const { place } = useApp()
  return search === "" ? (
    <Empty title="The list has no such page">
      <Link class="button" href={place.with({ page: undefined })}>
        To its beginning
      </Link>
    </Empty>
  ) : (
    <Empty title={`No ${what} fits “${search}”`}>
      <Link class="button" href={place.with({ search: undefined, page: undefined })}>
        Show all
      </Link>
    </Empty>
  )
}
