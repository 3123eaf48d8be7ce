import { useApp } from "../../state/app.ts"
import { Link } from "../controls/link.tsx"

/** A link to the people whose name, email or ID contains a text that was searched elsewhere. */
export function SearchPeople({ search }: { search: string }) {
  const { router, session } = useApp()
  if (!session.canSeePeople) return null
  return (
    <Link class="button" href={router.pageHref("people", { search })}>
      Search people
    </Link>
  )
}
