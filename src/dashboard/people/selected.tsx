import { Link } from "../components/controls/link.tsx"
import type { Unit } from "../components/controls/unit.tsx"
import { Empty } from "../components/layout/states.tsx"
import { noSelection } from "../components/people/selection.ts"
import { useApp } from "../state/app.ts"

interface PersonLinkProps {
  id: string | null
  /** The URL parameter that identifies the person on their page. */
  param: "visitor" | "profile"
  name?: string | undefined
}

/** A link to the page of a visitor or profile. Renders nothing if `id` is null. */
export function PersonLink({ id, param, name }: PersonLinkProps) {
  const { router } = useApp()
  if (id === null) return null
  return (
    <Link class="people-id" href={router.pageHref("person", { [param]: id })}>
      {name ?? id}
    </Link>
  )
}

/** Shown if nothing matches the selection, for example because the range was changed or a person was deleted. */
export function NoneSelected({ unit }: { unit: Unit }) {
  const { router } = useApp()
  return (
    <Empty title={`No matching ${unit.many} in this range`}>
      <Link class="button" href={router.hrefWith(noSelection)}>
        Show all people
      </Link>
    </Empty>
  )
}
