import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { DataTable, DownloadCsv } from "../components/charts/data-table.tsx"
import { RangeChart } from "../components/charts/range-chart.tsx"
import { stackOf } from "../components/charts/stacked.ts"
import { Change, Stat } from "../components/charts/stat.tsx"
import { GranularitySwitch, useGranularity, useProgress } from "../components/controls/granularity.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Page } from "../components/layout/page.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { Install } from "../install/install.tsx"
import { useSetup } from "../install/use-setup.ts"
import { useApp } from "../state/app.ts"
import { filterParam } from "../state/filters.ts"
import { useQuery } from "../state/use-query.ts"
import { ActiveNow } from "./active.tsx"

/** Events that have a colour of their own in the chart; all others are one. */
const stackedEvents = 5
/** Rows of a short list. */
const topRows = 10

interface Summary {
  total_events: number
  unique_users: number
  unique_sessions: number
  unique_event_types: number
  previous?: Omit<Summary, "previous"> | null
}

const stats = [
  { label: "Events", column: "total_events" },
  { label: "Visitors", column: "unique_users" },
  { label: "Sessions", column: "unique_sessions" },
  { label: "Event types", column: "unique_event_types" },
] as const

export function Overview() {
  const { view, session } = useApp()
  const granularity = useGranularity()
  const comparing = view.value.compare ? { compare: "previous_period" } : {}
  const answered = useQuery([
    { name: "custom_events_summary", id: "summary", ...comparing },
    { name: "custom_events_trends", id: "course", granularity },
    { name: "custom_events_trends_by_event", id: "stack", granularity, limit: stackedEvents },
    { name: "custom_events", id: "top", limit: topRows, ...comparing },
    { name: "custom_event_properties", id: "properties", limit: topRows },
  ])
  const [summary] = answered.rows<Summary>("summary")
  const isEmpty = summary?.total_events === 0 && view.value.filters.length === 0
  const { beginning, begin } = useSetup(view.value.website, isEmpty)
  const site = session.sites.value.find(({ id }) => id === view.value.website) ?? session.sites.value[0]
  // What a website without any event needs is not zeros.
  const shown = beginning === "unknown" ? { ...answered, isLoading: true } : answered
  return (
    <Page title="Overview" actions={<ActiveNow key={beginning} />}>
      {beginning === "nothing" && site ? (
        <Install key={site.id} site={site} onArrival={answered.again} onShow={begin} />
      ) : (
        <>
          <Numbers answered={shown} />
          <CoursePanel answered={shown} />
          <div class="columns">
            <TopEvents answered={shown} />
            <TopProperties answered={shown} />
          </div>
        </>
      )}
    </Page>
  )
}

type Answered = ReturnType<typeof useQuery>

function Numbers({ answered }: { answered: Answered }) {
  const { view } = useApp()
  const format = useFormat()
  const course = answered.rows<Summary & { date: string }>("course")
  const { begun, isRunning } = useProgress(course.map(({ date }) => date))
  return (
    <section class="panel stats" aria-label="The range in numbers">
      <Loaded answered={answered} of="summary" height={88}>
        {() => {
          const [summary] = answered.rows<Summary>("summary")
          return (
            <dl class="stats-row">
              {stats.map(({ label, column }) => (
                <Stat
                  key={column}
                  label={label}
                  value={summary?.[column] ?? 0}
                  before={view.value.compare ? (summary?.previous?.[column] ?? 0) : undefined}
                  values={course.slice(0, begun).map((row) => row[column])}
                  isRunning={isRunning}
                  format={format}
                />
              ))}
            </dl>
          )
        }}
      </Loaded>
      <ComparisonNote answered={answered} of="summary" />
    </section>
  )
}

/** Events over time, the most frequent ones apart. */
function CoursePanel({ answered }: { answered: Answered }) {
  return (
    <Panel title="Events over time" actions={<GranularitySwitch />}>
      <Loaded answered={answered} of="stack" height={306}>
        {() => {
          const { dates, series } = stackOf(
            answered
              .rows<{ date: string; total_events: number }>("course")
              .map(({ date, total_events }) => ({ date, value: total_events })),
            answered
              .rows<{ date: string; event_name: string; total_events: number }>("stack")
              .map(({ date, event_name, total_events }) => ({ date, name: event_name, value: total_events })),
          )
          return (
            <RangeChart
              name="Events over time"
              file="events-over-time"
              kind="bars"
              dates={dates}
              series={series}
            />
          )
        }}
      </Loaded>
    </Panel>
  )
}

interface NameRow {
  name: string
  total_events: number
  unique_users: number
  percentage: number
  previous?: { total_events: number } | null
}

function TopEvents({ answered }: { answered: Answered }) {
  const { place, view } = useApp()
  const format = useFormat()
  const { compare } = view.value
  const rows = answered.rows<NameRow>("top")
  const most = Math.max(...rows.map((row) => row.total_events), 1)
  const columns = ["Event", "Events", "Visitors", ...(compare ? ["Change"] : [])]
  return (
    <Panel
      title="Top events"
      actions={
        <>
          <DownloadCsv
            file="top-events"
            columns={["name", "events", "visitors", "share in percent"]}
            rows={rows.map((row) => [row.name, row.total_events, row.unique_users, row.percentage])}
          />
          <Link class="button small" href={place.to("events")}>
            All events
          </Link>
        </>
      }
    >
      <Loaded answered={answered} of="top" height={392}>
        {() =>
          rows.length === 0 ? (
            <NoMatch />
          ) : (
            <DataTable
              name="Top events"
              columns={columns}
              numeric={[false, true, true, true]}
              bars={rows.map((row) => row.total_events / most)}
              keys={rows.map((row) => row.name)}
              rows={rows.map((row) => [
                <Link key="name" href={place.to("event", { name: row.name })}>
                  {row.name}
                </Link>,
                format.count(row.total_events),
                format.count(row.unique_users),
                ...(compare
                  ? [
                      <Change
                        key="change"
                        value={row.total_events}
                        before={row.previous?.total_events ?? 0}
                        format={format}
                      />,
                    ]
                  : []),
              ])}
            />
          )
        }
      </Loaded>
    </Panel>
  )
}

interface PropertyRow {
  name: string
  property_key: string
  property_value: string
  count: number
}

function TopProperties({ answered }: { answered: Answered }) {
  const { place, view } = useApp()
  const format = useFormat()
  const rows = answered.rows<PropertyRow>("properties")
  const most = Math.max(...rows.map((row) => row.count), 1)
  return (
    <Panel
      title="Top properties"
      actions={
        <DownloadCsv
          file="top-properties"
          columns={["event", "property", "value", "events"]}
          rows={rows.map((row) => [row.name, row.property_key, row.property_value, row.count])}
        />
      }
    >
      <Loaded answered={answered} of="properties" height={392}>
        {() =>
          rows.length === 0 ? (
            <Empty title="No properties">
              Events can carry any JSON object as <code>properties</code>; what it holds is listed here.
            </Empty>
          ) : (
            <DataTable
              name="Top properties"
              columns={["Property", "Of the event", "Events"]}
              numeric={[false, false, true]}
              bars={rows.map((row) => row.count / most)}
              rows={rows.map((row) => [
                <Link
                  key="value"
                  href={place.with({
                    f: [
                      ...view.value.filters.map(filterParam),
                      filterParam({
                        field: `property.${row.property_key}`,
                        op: "eq",
                        value: row.property_value,
                      }),
                    ],
                  })}
                  label={`Only events with ${row.property_key} = ${row.property_value}`}
                >
                  {row.property_key} = {row.property_value}
                </Link>,
                <Link key="event" href={place.to("event", { name: row.name })}>
                  {row.name}
                </Link>,
                format.count(row.count),
              ])}
            />
          )
        }
      </Loaded>
    </Panel>
  )
}
