import type { EventKind } from "../event-kinds.ts"
import type { Caller } from "../http/caller.ts"
import { sectionMissing } from "../http/permissions.ts"
import { allowsType, type PageName, queryTypePages } from "../sections.ts"
import { type TypeName, typeOf } from "./query-types.ts"

/** The pages that show each query type. The compiler reports an error if `queryTypePages` lacks a type. */
const typePages: Record<TypeName, readonly PageName[]> = queryTypePages

/** A caller whose access can be limited to some pages. */
export type LimitedCaller = Pick<Caller, "kind" | "pages">

/**
 * Throws `section_missing` if the caller is limited to pages that do not show the query type. `kinds` are the kinds of
 * events to read, for types with the option `kinds`.
 */
export function requireQueryType(caller: LimitedCaller, name: string, kinds?: readonly EventKind[]): void {
  const { pages } = caller
  if (!pages) return
  // No page shows an unknown type. The type assertion is needed because `Object.hasOwn` does not narrow `name`.
  const listed = Object.hasOwn(typePages, name) ? typePages[name as TypeName] : []
  const read = typeOf(name)?.takes.includes("kinds") ? kinds : undefined
  if (allowsType(pages, listed, read)) return
  const kindsText = read === undefined ? "" : ` for events of the kind ${read.join(", ")}`
  throw sectionMissing(caller, `the query type ${name}${kindsText}`)
}
