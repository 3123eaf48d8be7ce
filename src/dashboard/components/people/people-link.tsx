import type { ComponentChildren } from "preact"
import { useApp } from "../../state/app.ts"
import { type Filter, filterParam } from "../../state/filters.ts"
import { type Range, rangeParams } from "../../state/range.ts"
import { Link } from "../controls/link.tsx"
import { pagesFor } from "../controls/navigation-menu.ts"
import { type Selection, selectionParams } from "./selection.ts"

export interface LinkedPeople {
  selection: Selection
  /** Default: the page's filters. */
  filters?: readonly Filter[] | undefined
  /** Default: the page's range. */
  range?: Pick<Range, "from" | "to" | "hour"> | undefined
}

/**
 * Returns a function that builds the path at which the people page lists a selection. Returns undefined if the user
 * cannot see people.
 */
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
  /** If undefined, there is no link. */
  selection: Selection | undefined
  /** The number of people. If it is 0, there is no link. */
  count: number
  /** Accessible name, if the text does not identify the people. */
  label?: string
  children: ComponentChildren
}

/** A number of people, with a link to the list of these people. */
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
