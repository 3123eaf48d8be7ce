import { DataTable, DownloadCsv } from "../components/charts/data-table.tsx"
import { RangeChart as CourseChart } from "../components/charts/range-chart.tsx"
import { GranularitySwitch, useGranularity } from "../components/controls/granularity.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { type Answered, useQuery } from "../state/use-query.ts"
import { type PersonId, whose, withCrawlers } from "./person-id.ts"

/** Rows of the short list. */
const topRows = 6
/** px */
const chartHeight = 170

/** When they were there and what they did most, in the range. */
export function PersonActivity({ who }: { who: PersonId }) {
  const { view } = useApp()
  const granularity = useGranularity()
  const answered = useQuery(
    [
      { name: "events", id: "course", ...whose(who), measures: ["events"], granularity },
      {
        name: "events",
        id: "top",
        ...whose(who),
        by: ["event_name"],
        measures: ["events", "last"],
        limit: topRows,
      },
    ],
    { filters: view.value.filters, body: withCrawlers },
  )
  return (
    <div class="columns">
      <Course answered={answered} />
      <TopEvents answered={answered} />
    </div>
  )
}

function Course({ answered }: { answered: Answered }) {
  const rows = answered.rows<{ date: string; events: number }>("course")
  return (
    <Panel title="Events over time" actions={<GranularitySwitch />}>
      <Loaded answered={answered} of="course" height={chartHeight + 36}>
        {() => (
          <CourseChart
            name="Events of this person over time"
            file="person-over-time"
            kind="bars"
            height={chartHeight}
            dates={rows.map(({ date }) => date)}
            series={[{ name: "Events", values: rows.map((row) => row.events) }]}
          />
        )}
      </Loaded>
    </Panel>
  )
}

function TopEvents({ answered }: { answered: Answered }) {
  const { place } = useApp()
  const format = useFormat()
  const rows = answered.rows<{ event_name: string; events: number; last: string }>("top")
  const most = Math.max(...rows.map((row) => row.events), 1)
  return (
    <Panel
      title="Top events"
      actions={
        <DownloadCsv
          file="person-top-events"
          columns={["name", "events", "last"]}
          rows={rows.map((row) => [row.event_name, row.events, new Date(row.last).toISOString()])}
        />
      }
    >
      <Loaded answered={answered} of="top" height={chartHeight + 36}>
        {() =>
          rows.length === 0 ? (
            <Empty title="Nothing in this range" />
          ) : (
            <DataTable
              name="Top events"
              columns={["Event", "Events"]}
              numeric={[false, true]}
              bars={rows.map((row) => row.events / most)}
              keys={rows.map((row) => row.event_name)}
              rows={rows.map((row) => [
                <Link key="name" href={place.to("event", { name: row.event_name })}>
                  {row.event_name}
                </Link>,
                format.count(row.events),
              ])}
            />
          )
        }
      </Loaded>
    </Panel>
  )
}
