import { Link } from "../components/controls/link.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"

/** Shown if the search has no matches, or the page is past the end of the list. */
export function NoResults({ noun, search }: { noun: "visitor" | "profile"; search: string }) {
  const { router } = useApp()
  return search === "" ? (
    <Empty title="No more results">
      <Link class="button" href={router.hrefWith({ page: undefined })}>
        Go to first page
      </Link>
    </Empty>
  ) : (
    <Empty title={`No ${noun}s match “${search}”`}>
      <Link class="button" href={router.hrefWith({ search: undefined, page: undefined })}>
        Show all
      </Link>
    </Empty>
  )
}
