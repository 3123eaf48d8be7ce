import { Link } from "../components/controls/link.tsx"
import { NoMoreResults } from "../components/layout/no-match.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"

/** Shown if a search has no matches, or if the page number is past the end of the list. */
export function NoResults({ noun, search }: { noun: "visitor" | "profile"; search: string }) {
  const { router } = useApp()
  return search === "" ? (
    <NoMoreResults />
  ) : (
    <Empty title={`No ${noun}s match “${search}”`}>
      <Link class="button" href={router.hrefWith({ search: undefined, page: undefined })}>
        Show all
      </Link>
    </Empty>
  )
}
