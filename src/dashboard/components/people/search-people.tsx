import { useApp } from "../../state/app.ts"
import { Link } from "../controls/link.tsx"

/** A link that searches people for the text that was entered in another search field. */
export function SearchPeople({ search }: { search: string }) {
  const { router, session } = useApp()
  if (!session.canSeePeople) return null
  return (
    <Link class="button" href={router.pageHref("people", { search })}>
      Search people
    </Link>
  )
}
