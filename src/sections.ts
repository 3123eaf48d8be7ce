import { type EventKind, eventKinds } from "./event-kinds.ts"

// Lists what a limited share link (one page or board) or a limited viewer (some sections) can use. The server denies
// everything that is not listed here, and the dashboard hides it.

/**
 * The pages of a website that show reports, in the order of the navigation. A share link can be limited to one of them.
 */
export const reportPages = [
  "web",
  "overview",
  "events",
  "event",
  "funnels",
  "retention",
  "paths",
  "goals",
  "errors",
  "vitals",
  "engagement",
] as const
export type ReportPage = (typeof reportPages)[number]

export function isReportPage(page: string): page is ReportPage {
  return reportPages.some((name) => name === page)
}

/**
 * The page of a share link that is limited to a board. No query type lists this page, because such a link only runs the
 * queries of the board's tiles.
 */
export const boardPage = "boards"

/** All pages of a website, named by the path segment that follows the website. */
export const pageNames = [
  ...reportPages,
  boardPage,
  "live",
  "people",
  "person",
  "refusals",
  "install",
] as const
export type PageName = (typeof pageNames)[number]

/**
 * The sections that a viewer can be limited to, with their pages. Only `people` includes individual events and the IDs
 * of people. Boards are in no section, because their tiles can come from any page.
 */
const sectionPages = {
  web: ["web"],
  events: ["overview", "events", "event"],
  behavior: ["funnels", "retention", "paths", "goals"],
  quality: ["errors", "vitals", "engagement"],
  people: ["live", "people", "person", "refusals", "install"],
} as const satisfies Record<string, readonly PageName[]>

export type Section = keyof typeof sectionPages

/** The type assertion is needed because Object.keys does not preserve the literal types. */
export const sections = Object.keys(sectionPages) as Section[]

export function pagesOf(limits: readonly Section[]): PageName[] {
  return sections.filter((section) => limits.includes(section)).flatMap((section) => sectionPages[section])
}

/** Returns the pages that a user can open. `limits` are the sections that the user is limited to. */
export function userPages(limits: readonly Section[] | null): readonly PageName[] {
  return limits === null ? pageNames : pagesOf(limits)
}

/** Returns the pages that a share link can open. `page` is the page that the link is limited to. */
export function sharePages(page: string | null): readonly string[] {
  return page === null ? reportPages : [page]
}

const customEvents = ["overview", "events", "event"] as const
const behavior = ["funnels", "retention", "paths", "goals"] as const
/** Pages on which events and their properties can be selected. */
const eventChoices = [...customEvents, ...behavior] as const

/** Every query type, with the pages that show its rows. The compiler reports an error if a type is missing. */
export const queryTypePages = {
  custom_events: customEvents,
  custom_event_properties: eventChoices,
  custom_events_by_path: customEvents,
  custom_events_trends: customEvents,
  custom_events_trends_by_event: customEvents,
  custom_events_summary: customEvents,
  custom_events_property_cardinality: eventChoices,
  custom_events_recent: ["live", "people", "person", "install"],
  custom_events_property_classification: customEvents,
  custom_events_property_top_values: customEvents,
  custom_events_property_distribution: customEvents,
  custom_events_property_numbers: customEvents,
  custom_events_discovery: customEvents,
  events: [...eventChoices, "web", "errors", "vitals", "live", "people", "person"],
  funnel: ["funnels"],
  retention: ["retention"],
  paths: ["paths"],
  goals: ["goals"],
  movers: ["overview", "event", "web"],
  sessions: ["people", "person"],
  people: ["people"],
  person: ["person"],
  summary_metrics: ["web"],
  events_by_date: ["web"],
  today_metrics: ["web"],
  active_stats: ["web", "overview"],
  top_pages: ["web"],
  entry_pages: ["web"],
  exit_pages: ["web"],
  page_time_analysis: ["web"],
  top_referrers: ["web"],
  traffic_sources: ["web"],
  channels: ["web"],
  utm_sources: ["web"],
  utm_mediums: ["web"],
  utm_campaigns: ["web"],
  utm_terms: ["web"],
  utm_content: ["web"],
  country: ["web"],
  region: ["web"],
  city: ["web"],
  device_types: ["web"],
  browsers: ["web"],
  browser_name: ["web"],
  browser_versions: ["web"],
  operating_systems: ["web"],
  os_name: ["web"],
  language: ["web"],
  timezone: ["web"],
  screen_resolution: ["web"],
  outbound_links: ["web"],
  outbound_domains: ["web"],
  realtime_pages: ["web"],
  realtime_referrers: ["web"],
  realtime_countries: ["web"],
  realtime_feed: ["live"],
  realtime_velocity: ["web"],
  error_types: ["errors"],
  errors_by_type: ["errors"],
  errors_by_page: ["errors"],
  error_chart_data: ["errors"],
  recent_errors: ["errors"],
  vitals_overview: ["vitals"],
  vitals_time_series: ["vitals"],
  vitals_by_page: ["vitals"],
  vitals_by_country: ["vitals"],
  vitals_by_browser: ["vitals"],
  frustration_by_page: ["engagement"],
  engagement_quality_by_page: ["engagement"],
  scroll_depth_distribution: ["engagement"],
  form_abandonment_by_page: ["engagement"],
} as const satisfies Record<string, readonly PageName[]>

const allKinds = "all"

/**
 * The kinds of events that each page shows. If a query type has the option `kinds`, a caller limited to the page can
 * only read these kinds.
 */
const pageKinds: Record<PageName, readonly EventKind[] | typeof allKinds> = {
  web: ["page_view", "page_exit", "outgoing_link"],
  overview: ["custom"],
  events: ["custom"],
  event: ["custom"],
  funnels: ["custom", "page_view"],
  retention: ["custom", "page_view"],
  paths: ["custom", "page_view"],
  goals: ["custom", "page_view"],
  errors: ["error"],
  vitals: ["web_vital"],
  engagement: ["engagement"],
  boards: allKinds,
  live: allKinds,
  people: allKinds,
  person: allKinds,
  refusals: [],
  install: allKinds,
}

const anyPage = "any"

/** The endpoints that a limited caller can use, with the pages that need them. */
export const endpointPages: Readonly<Record<string, readonly PageName[] | typeof anyPage>> = {
  // The server also checks each query type of the request.
  "POST /v1/query": anyPage,
  "GET /v1/query/websites": anyPage,
  "GET /v1/notes": anyPage,
  "GET /v1/views": anyPage,
  // A share link can only read its own board.
  "GET /v1/boards/:id": [boardPage],
  "POST /v1/boards/:id/query": [boardPage],
  "GET /v1/events/stream": ["live"],
  "GET /v1/profiles": ["live", "people", "person"],
  "GET /v1/profiles/:id": ["person"],
  "GET /v1/export": ["people", "person"],
  "GET /v1/refusals": ["refusals"],
}

/** The pages that a caller is limited to. */
export type PageLimit = readonly string[]

/** Returns true if a caller limited to `pages` can use an endpoint, such as `GET /v1/notes`. */
export function allowsEndpoint(pages: PageLimit, endpoint: string): boolean {
  const needed = Object.hasOwn(endpointPages, endpoint) ? endpointPages[endpoint] : undefined
  return needed === anyPage || (needed?.some((page) => pages.includes(page)) ?? false)
}

/**
 * Returns true if a caller limited to `pages` can run a query type that is shown on the pages `listed`. `kinds` are the
 * kinds of events to read, if the type has that option.
 */
export function allowsType(
  pages: PageLimit,
  listed: readonly PageName[],
  kinds: readonly EventKind[] = [],
): boolean {
  const shown = listed.filter((page) => pages.includes(page)).map((page) => pageKinds[page])
  return (
    shown.length > 0 &&
    kinds.every((kind) => shown.some((kindsOfPage) => kindsOfPage === allKinds || kindsOfPage.includes(kind)))
  )
}

/** Returns the kinds of events that a caller limited to `pages` can count with the query type `events`. */
export function readableKinds(pages: PageLimit): EventKind[] {
  return eventKinds.filter((kind) => allowsType(pages, queryTypePages.events, [kind]))
}
