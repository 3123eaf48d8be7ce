import type { ComponentChildren } from "preact"
import { useApp } from "../../state/app.ts"
import { type Filter, filterParam } from "../../state/filters.ts"
import { type Range, rangeParams } from "../../state/range.ts"
import { Link } from "../controls/link.tsx"
import { pagesFor } from "../controls/navigation-menu.ts"
import { type Selection, selectionParams } from "./selection.ts"

export interface LinkedPeople {
  selection: Selection
  /** Default: the filters of the page. */
  filters?: readonly Filter[] | undefined
  /** Default: the range of the page. */
  range?: Pick<Range, "from" | "to" | "hour"> | undefined
}

/** Returns the path of the people page with a selection. Undefined: the caller cannot see people. */
export function usePeopleHref(): ((people: LinkedPeople) => string) | undefined {
  const { router, session } = useApp()
  if (!pagesFor(session).some(({ page }) => page === "people")) return undefined
  return ({ selection, filters, range }) =>
    router.pageHref("people", {
      ...(range ? rangeParams(range) : {}),
      ...(filters ? { f: filters.map(filterParam) } : {}),
      ...selectionParams(selection),
    })
}

interface PeopleLinkProps extends Omit<LinkedPeople, "selection"> {
  /** Undefined: no link. */
  selection: Selection | undefined
  /** The number of people. If it is 0, there is no link. */
  count: number
  /** Accessible name, if the text does not say which people it leads to. */
  label?: string
  children: ComponentChildren
}

/** A number of people that links to the list of them. */
export function PeopleLink({ count, label, children, selection, ...people }: PeopleLinkProps) {
  const hrefOf = usePeopleHref()
  if (!hrefOf || !selection || count === 0) return <>{children}</>
  return (
    <Link
      class="people-link"
      href={hrefOf({ ...people, selection })}
      {...(label === undefined ? {} : { label })}
    >
      {children}
    </Link>
  )
}
