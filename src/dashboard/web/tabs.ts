import type { FieldValue } from "../components/controls/value.tsx"

/** A row of a query result, by column. */
export interface Row {
  [column: string]: string | number | null | undefined | Measures
  previous?: Measures | null
}

/** Maximum number of rows to load at once. It is greater than the number of countries. */
export const allRows = 300

type Measures = Readonly<Record<string, number | null>>

interface Measure {
  column: string
  label: string
  /** Heading in the CSV file. */
  heading: string
  unit?: "seconds" | "percent"
}

/** A table in a panel. */
export interface Tab {
  /** The query type, which is also the tab's name in the URL. */
  name: string
  label: string
  /** Heading of the first column. */
  heading: string
  /** The column with the row labels, for boards. Default: name. */
  column?: string
  /** The label of a row. */
  textOf: (row: Row) => string
  /** Returns the filters that clicking a row sets or removes. If absent, rows cannot be clicked. */
  filterOf?: (row: Row) => FieldValue & { and?: FieldValue }
  /** The first measure determines the bars and the change. */
  measures: readonly [Measure, ...Measure[]]
  /**
   * Whether the number of visitors links to the people page. This requires that the number counts exactly the visitors
   * whose page views match the row's filter.
   */
  hasPeople?: boolean
  /** Whether to show the change of the first measure. */
  isCompared?: boolean
  /** Whether to load all rows at once, up to `allRows`, instead of page by page. */
  loadsAllRows?: boolean
  /** Shown instead of an empty table, if the range has page views. */
  empty: string
}

const views = { column: "pageviews", label: "Views", heading: "views" }
const visitors = { column: "visitors", label: "Visitors", heading: "visitors" }
const share = { column: "percentage", label: "Share", heading: "share in percent", unit: "percent" } as const

function nameOf({ name }: Row): string {
  return typeof name === "string" ? name : ""
}

function textIn(row: Row, column: string): string | null {
  const value = row[column]
  return typeof value === "string" ? value : null
}

/** A tab that breaks page views down by a field. `noun`: names the field in the message for an empty table. */
function byField(
  name: string,
  field: string,
  label: string,
  about: Partial<Tab> = {},
  noun = label.toLowerCase(),
): Tab {
  return {
    name,
    label,
    heading: label,
    textOf: nameOf,
    filterOf: (row) => ({ field, value: nameOf(row) }),
    measures: [views, visitors, share],
    empty: `No page views in this range with a known ${noun}`,
    ...about,
  }
}

function byPage(name: string, label: string, measure: string): Tab {
  return byField(name, "path", label, {
    heading: "Page",
    measures: [{ ...views, label: measure, heading: measure.toLowerCase() }, visitors],
    isCompared: true,
    empty: "No page views with a path",
  })
}

function byCampaign(name: string, field: string, label: string): Tab {
  return byField(name, field, label, {
    heading: `UTM ${label.toLowerCase()}`,
    measures: [views, visitors],
    isCompared: true,
    empty: `No page views with ${field} in the URL`,
  })
}

/** Returns the label of a source. A website that sends visitors from its pages and from ads has two rows. */
function sourceOf(row: Row): string {
  return textIn(row, "domain") !== null && row.referrer_type === "ad" ? `${nameOf(row)} (ad)` : nameOf(row)
}

/** Returns the filters for a domain and its referrer type. The domain alone would not separate ads from searches. */
function sourceFilter(row: Row): ReturnType<NonNullable<Tab["filterOf"]>> {
  const type = { field: "referrer_type", value: textIn(row, "referrer_type") }
  // Only one row has this type, so the domain is not needed.
  return type.value === "direct"
    ? type
    : { field: "referrer_domain", value: textIn(row, "domain"), and: type }
}

export const pageTabs: readonly [Tab, ...Tab[]] = [
  { ...byPage("top_pages", "Top", "Views"), hasPeople: true },
  byPage("entry_pages", "Entry", "Entries"),
  byPage("exit_pages", "Exit", "Exits"),
  {
    ...byPage("page_time_analysis", "Time", "Sessions"),
    measures: [
      { column: "sessions_with_time", label: "Sessions", heading: "sessions" },
      { column: "median_time_on_page", label: "Median time", heading: "median seconds", unit: "seconds" },
    ],
    isCompared: false,
    empty: "No time-on-page data in this range. It is recorded when a visitor leaves a page.",
  },
]

export const sourceTabs: readonly [Tab, ...Tab[]] = [
  byField("traffic_sources", "referrer_domain", "Referrers", {
    heading: "Source",
    textOf: sourceOf,
    filterOf: sourceFilter,
    measures: [views, visitors],
    isCompared: true,
    empty: "No page views from outside this website",
  }),
  byField("channels", "referrer_type", "Channels", {
    heading: "Channel",
    measures: [views, visitors],
    isCompared: true,
    empty: "No page views in this range with a known source",
  }),
  byCampaign("utm_campaigns", "utm_campaign", "Campaign"),
  byCampaign("utm_sources", "utm_source", "Source"),
  byCampaign("utm_mediums", "utm_medium", "Medium"),
  byCampaign("utm_terms", "utm_term", "Term"),
  byCampaign("utm_content", "utm_content", "Content"),
]

export const countryTabs: readonly [Tab, ...Tab[]] = [
  byField("country", "country", "Country", {
    column: "country_name",
    textOf: (row) => textIn(row, "country_name") ?? nameOf(row),
    loadsAllRows: true,
  }),
]

export const deviceTabs: readonly [Tab, ...Tab[]] = [
  byField("device_types", "device_type", "Device"),
  byField("browsers", "browser_name", "Browser"),
  byField("operating_systems", "os_name", "System", {}, "operating system"),
  byField("language", "language", "Language"),
  byField("screen_resolution", "screen_resolution", "Screen", {}, "screen size"),
]

export const linkTabs: readonly [Tab, ...Tab[]] = [
  {
    name: "outbound_links",
    label: "Links",
    heading: "Link",
    column: "href",
    textOf: (row) => textIn(row, "href") ?? "",
    measures: [
      { column: "total_clicks", label: "Clicks", heading: "clicks" },
      { column: "unique_users", label: "Visitors", heading: "visitors" },
    ],
    isCompared: true,
    empty: "No clicks on links to other websites",
  },
]
