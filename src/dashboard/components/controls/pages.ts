import type { Session } from "../../state/session.ts"
import type { IconName } from "./icons.tsx"

export interface PageEntry {
  /** In the address. */
  page: string
  label: string
  icon: IconName
  /** Who may see it; a share link shows none of single people. */
  for: "all" | "people" | "owner"
  /** An address of its own, outside of websites. */
  path?: string
}

/** The pages in the order of the navigation. */
const pages: readonly PageEntry[] = [
  { page: "overview", label: "Overview", icon: "overview", for: "all" },
  { page: "events", label: "Events", icon: "events", for: "all" },
  { page: "live", label: "Live", icon: "live", for: "people" },
  { page: "funnels", label: "Funnels", icon: "funnels", for: "all" },
  { page: "retention", label: "Retention", icon: "retention", for: "all" },
  { page: "paths", label: "Paths", icon: "paths", for: "all" },
  { page: "goals", label: "Goals", icon: "goals", for: "all" },
  { page: "people", label: "People", icon: "people", for: "people" },
  { page: "refusals", label: "Refusals", icon: "refusals", for: "people" },
  { page: "settings", label: "Settings", icon: "settings", for: "people", path: "/settings/account" },
]

/** Pages that a share link shows, by their address. */
export const sharedPages: ReadonlySet<string> = new Set([
  ...pages.filter((one) => one.for === "all").map(({ page }) => page),
  "event",
])

export function pagesFor({ me, isOwner }: Session): PageEntry[] {
  const isShared = me.value?.share != null
  return pages.filter((one) => one.for === "all" || (one.for === "people" ? !isShared : isOwner))
}

/** What the navigation calls a page; its name in the address where it is not there. */
export function pageLabel(page: string): string {
  return pages.find((one) => one.page === page)?.label ?? page
}
