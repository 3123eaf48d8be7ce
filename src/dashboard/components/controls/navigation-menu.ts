import type { Session } from "../../state/session.ts"
import type { IconName } from "./icons.tsx"

export const groupLabels = { behavior: "Behavior", quality: "Quality", server: "Server" } as const

export interface PageEntry {
  /** The page's path segment in the URL. */
  page: string
  label: string
  icon: IconName
  /** The group that the page is listed under. If absent, the page is in the first group, which has no heading. */
  group?: keyof typeof groupLabels
  /** The full path of a page that does not belong to a website. */
  path?: string
}

/** All pages in navigation order. */
const pages: readonly PageEntry[] = [
  { page: "web", label: "Web", icon: "web" },
  { page: "overview", label: "Overview", icon: "overview" },
  { page: "boards", label: "Boards", icon: "boards" },
  { page: "events", label: "Events", icon: "events" },
  { page: "live", label: "Live", icon: "live" },
  { page: "funnels", label: "Funnels", icon: "funnels", group: "behavior" },
  { page: "retention", label: "Retention", icon: "retention", group: "behavior" },
  { page: "paths", label: "Paths", icon: "paths", group: "behavior" },
  { page: "goals", label: "Goals", icon: "goals", group: "behavior" },
  { page: "people", label: "People", icon: "people", group: "behavior" },
  { page: "errors", label: "Errors", icon: "errors", group: "quality" },
  { page: "vitals", label: "Vitals", icon: "vitals", group: "quality" },
  { page: "engagement", label: "Engagement", icon: "engagement", group: "quality" },
  { page: "refusals", label: "Rejected requests", icon: "rejected", group: "server" },
  {
    page: "settings",
    label: "Settings",
    icon: "settings",
    group: "server",
    path: "/settings/account",
  },
]

/** The pages that the user or share link can open. Pages outside a website require a user. */
export function pagesFor(session: Session): PageEntry[] {
  const isUser = session.me.value?.user != null && session.me.value.share == null
  return pages.filter(({ page, path }) => (path === undefined ? session.canOpen(page) : isUser))
}

/** The label of a page, or its path segment if it has no label. */
export function pageLabel(page: string): string {
  // The page of a single event is not in the navigation.
  if (page === "event") return "Event"
  return pages.find((entry) => entry.page === page)?.label ?? page
}
