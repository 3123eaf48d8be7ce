import type { EventKind } from "../../event-kinds.ts"
import { CardMenu } from "../components/charts/card-menu.tsx"
import { changeValue, SortedTable } from "../components/charts/data-table.tsx"
import { RangeChart } from "../components/charts/range-chart.tsx"
import { Change } from "../components/charts/stat.tsx"
import { useGranularity } from "../components/controls/granularity.tsx"
import { Link } from "../components/controls/link.tsx"
import { Segmented } from "../components/controls/segmented.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { useApp } from "../state/app.ts"
import { compared, overTime, type PinnedTile } from "../state/boards.ts"
import { comparisonOption } from "../state/query-cache.ts"
import { useQuery } from "../state/use-query.ts"

/** Maximum number of lines in the chart. More lines would be hard to tell apart. */
const maxLines = 6
/** Maximum number of rows, which limits the size of the response. */
const maxRows = 1_000
/** Height in px of a row of the table. The header has the same height. */
const rowHeight = 34

/** A website's metrics. `kinds`: the kinds of events that a metric counts. */
const metrics = [
  { value: "visitors", label: "Visitors", measure: "users", kinds: ["custom", "page_view"] },
  { value: "sessions", label: "Sessions", measure: "sessions", kinds: ["custom", "page_view"] },
  { value: "views", label: "Views", measure: "events", kinds: ["page_view"] },
  { value: "events", label: "Events", measure: "events", kinds: ["custom"] },
] as const

type Metric = Omit<(typeof metrics)[number], "kinds"> & { kinds: readonly EventKind[] }

interface Counts {
  users: number
  sessions: number
  events: number
}

interface WebsiteRow extends Counts {
  /** null for events without a website. */
  website_id: string | null
  previous?: Counts | null
}

/** The table's queries. Metrics that count the same kinds of events share a query. */
const tables = [
  { id: "people", measures: ["users", "sessions"], kinds: metrics[0].kinds },
  { id: "views", measures: ["events"], kinds: metrics[2].kinds },
  { id: "events", measures: ["events"], kinds: metrics[3].kinds },
] as const

/** Removes the kinds of events that the user cannot read, and then the items that have none left. */
function readable<Item extends { kinds: readonly EventKind[] }>(
  items: readonly Item[],
  readableKinds: readonly EventKind[],
): (Omit<Item, "kinds"> & { kinds: readonly EventKind[] })[] {
  return items
    .map((item) => ({ ...item, kinds: item.kinds.filter((kind) => readableKinds.includes(kind)) }))
    .filter(({ kinds }) => kinds.length > 0)
}

const tableOf: Record<Metric["value"], (typeof tables)[number]["id"]> = {
  visitors: "people",
  sessions: "people",
  views: "views",
  events: "events",
}

/** All websites side by side: a chart with one line per website, and a table of their metrics. */
export function Websites() {
  const { router, session, view } = useApp()
  const granularity = useGranularity()
  const { compare } = view.value
  const chosen = router.location.value.params.get("websites")
  const shown = readable(metrics, session.readableKinds)
  const metric: Metric = shown.find(({ value }) => value === chosen) ?? shown[0] ?? metrics[0]
  const by = ["website_id"]
  const query = useQuery([
    ...readable(tables, session.readableKinds).map((table) => ({
      name: "events",
      ...table,
      by,
      limit: maxRows,
      ...comparisonOption(compare),
    })),
    {
      name: "events",
      id: "trend",
      by,
      measures: [metric.measure],
      kinds: metric.kinds,
      granularity,
      limit: maxLines,
    },
  ])
  const trend = query.rows<WebsiteRow & { date: string }>("trend")
  const dates = [...new Set(trend.map(({ date }) => date))]
  const lines = Map.groupBy(trend, (row) => row.website_id ?? "none")
  const sites = session.sites.value.length
  const title = `${metric.label} by website`
  return (
    <>
      <Panel
        title={title}
        hint={
          sites > maxLines
            ? `Shows the ${maxLines} websites with the most ${metric.label.toLowerCase()}.`
            : undefined
        }
        pin={chartTile(title, metric)}
        actions={
          <Segmented
            legend="Metric"
            options={shown}
            value={metric.value}
            onChange={(next) =>
              router.setParams({ websites: next === metrics[0].value ? undefined : next }, "replace")
            }
          />
        }
      >
        <Loaded query={query} id="trend" height={296}>
          {() => (
            <RangeChart
              name={title}
              file={`${metric.value}-by-website`}
              kind="lines"
              dates={dates}
              series={[...lines].map(([id, rows]) => ({
                name: session.nameOf(id),
                values: rows.map((row) => row[metric.measure]),
              }))}
            />
          )}
        </Loaded>
      </Panel>
      <WebsiteTable metrics={shown} rowsOf={(id) => query.rows<WebsiteRow>(id)} query={query} />
    </>
  )
}

interface WebsiteTableProps {
  metrics: readonly Metric[]
  rowsOf: (id: string) => WebsiteRow[]
  query: ReturnType<typeof useQuery>
}

function WebsiteTable({ metrics, rowsOf, query }: WebsiteTableProps) {
  const { router, session, view } = useApp()
  const format = useFormat()
  const { compare } = view.value
  const byId = Object.fromEntries(
    tables.map(({ id }) => [id, new Map(rowsOf(id).map((row) => [row.website_id ?? "none", row]))]),
  )
  const seen = new Set(Object.values(byId).flatMap((rows) => [...rows.keys()]))
  // A website without events gets a row of zeros.
  const ids = [...session.sites.value.map(({ id }) => id), ...(seen.has("none") ? ["none"] : [])]
  const rows = ids
    .map((id) => ({
      id,
      counts: metrics.map(({ value, measure }) => {
        const row = byId[tableOf[value]]?.get(id)
        return { now: row?.[measure] ?? 0, before: row?.previous?.[measure] ?? 0 }
      }),
    }))
    .sort((a, b) => (b.counts[0]?.now ?? 0) - (a.counts[0]?.now ?? 0))
  const max = Math.max(...rows.map(({ counts }) => counts[0]?.now ?? 0), 1)
  const columns = metrics.flatMap(({ label }) => [
    label,
    ...(compare ? [<ChangeHead key={label} metric={label} />] : []),
  ])
  return (
    <Panel
      title="Websites"
      pin={tableTile}
      actions={
        <CardMenu
          file="websites"
          columns={["website", ...metrics.map(({ value }) => value)]}
          rows={rows.map(({ id, counts }) => [session.nameOf(id), ...counts.map(({ now }) => now)])}
        />
      }
    >
      <Loaded query={query} id="people" height={rowHeight * (session.sites.value.length + 1)}>
        {() => (
          <SortedTable
            name="Websites"
            columns={["Website", ...columns]}
            numeric={[false, ...columns.map(() => true)]}
            keys={rows.map(({ id }) => id)}
            bars={rows.map(({ counts }) => (counts[0]?.now ?? 0) / max)}
            rows={rows.map(({ id, counts }) => [
              <Link key="website" href={router.websiteHref(id)}>
                {session.nameOf(id)}
              </Link>,
              ...counts.flatMap(({ now, before }, index) => [
                format.count(now),
                ...(compare ? [<Change key={index} value={now} previous={before} format={format} />] : []),
              ]),
            ])}
            values={rows.map(({ id, counts }) => [
              session.nameOf(id),
              ...counts.flatMap(({ now, before }) => (compare ? [now, changeValue(now, before)] : [now])),
            ])}
          />
        )}
      </Loaded>
    </Panel>
  )
}

/** The header of a column with changes, which follows the column of its metric. */
function ChangeHead({ metric }: { metric: string }) {
  return <span title={`Change in ${metric.toLowerCase()}`}>Change</span>
}

function chartTile(title: string, { measure, kinds, label }: Metric): PinnedTile {
  return {
    kind: "chart",
    title,
    query: {
      parameters: [
        { name: "events", by: ["website_id"], measures: [measure], kinds, limit: maxLines, ...overTime },
      ],
    },
    measure: { column: measure, label, format: "count" },
    by: "website_id",
    display: "lines",
  }
}

const tableTile: PinnedTile = {
  kind: "table",
  title: "Websites",
  query: {
    parameters: [
      {
        name: "events",
        by: ["website_id"],
        measures: ["users", "sessions", "events"],
        kinds: metrics[0].kinds,
        ...compared,
      },
    ],
  },
  columns: [
    { column: "website_id", label: "Website", format: "text" },
    { column: "users", label: "Visitors", format: "count" },
    { column: "sessions", label: "Sessions", format: "count" },
    { column: "events", label: "Views and events", format: "count" },
  ],
}
