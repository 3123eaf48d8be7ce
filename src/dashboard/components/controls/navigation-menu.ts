import type { Session } from "../../state/session.ts"
import type { IconName } from "./icons.tsx"

export interface PageEntry {
  /** Path segment in the URL. */
  page: string
  label: string
  icon: IconName
  /** Who can see it: everyone, or only users. Share links do not show individual people. */
  visibleTo: "all" | "users"
  /** The navigation separates groups. Absent: what visitors do. */
  group?: "quality" | "server"
  /** The full path of a page outside a website. */
  path?: string
}

/** All pages in navigation order. */
const pages: readonly PageEntry[] = [
  { page: "web", label: "Web", icon: "web", visibleTo: "all" },
  { page: "overview", label: "Overview", icon: "overview", visibleTo: "all" },
  { page: "boards", label: "Boards", icon: "boards", visibleTo: "users" },
  { page: "events", label: "Events", icon: "events", visibleTo: "all" },
  { page: "live", label: "Live", icon: "live", visibleTo: "users" },
  { page: "funnels", label: "Funnels", icon: "funnels", visibleTo: "all" },
  { page: "retention", label: "Retention", icon: "retention", visibleTo: "all" },
  { page: "paths", label: "Paths", icon: "paths", visibleTo: "all" },
  { page: "goals", label: "Goals", icon: "goals", visibleTo: "all" },
  { page: "people", label: "People", icon: "people", visibleTo: "users" },
  { page: "errors", label: "Errors", icon: "errors", visibleTo: "all", group: "quality" },
  { page: "vitals", label: "Vitals", icon: "vitals", visibleTo: "all", group: "quality" },
  { page: "engagement", label: "Engagement", icon: "engagement", visibleTo: "all", group: "quality" },
  { page: "refusals", label: "Rejected requests", icon: "rejected", visibleTo: "users", group: "server" },
  {
    page: "settings",
    label: "Settings",
    icon: "settings",
    visibleTo: "users",
    group: "server",
    path: "/settings/account",
  },
]

/** Path segments of the pages that a share link can show. */
export const sharedPages: ReadonlySet<string> = new Set([
  ...pages.filter((entry) => entry.visibleTo === "all").map(({ page }) => page),
  "event",
])

export function pagesFor({ me }: Session): PageEntry[] {
  const isShared = me.value?.share != null
  return pages.filter(({ visibleTo }) => visibleTo === "all" || !isShared)
}

/** A page's label, or its path segment if it is not in the navigation. */
export function pageLabel(page: string): string {
  return pages.find((entry) => entry.page === page)?.label ?? page
}
