import { useState } from "preact/hooks"
import type { EventKind } from "../../event-kinds.ts"
import { CardMenu } from "../components/charts/card-menu.tsx"
import { DataTable } from "../components/charts/data-table.tsx"
import { RangeChart } from "../components/charts/range-chart.tsx"
import { GranularitySwitch, useGranularity } from "../components/controls/granularity.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty, useKeepFocus } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { kindNames } from "../state/event-text.ts"
import { type QueryState, useQuery } from "../state/use-query.ts"
import { type PersonId, personParam, withCrawlers } from "./person-id.ts"

/** Number of rows in the list of top events: initially, and after "Show all". */
const topRows = 6
const allRows = 1_000
/** Height of the chart in px. */
const chartHeight = 170

/** The person's events over time and their most frequent events, in the range. */
export function PersonActivity({ person }: { person: PersonId }) {
  const { view } = useApp()
  const granularity = useGranularity()
  const [isAll, setAll] = useState(false)
  const query = useQuery(
    [
      { name: "events", id: "trend", ...personParam(person), measures: ["events"], granularity },
      {
        name: "events",
        id: "top",
        ...personParam(person),
        by: ["event_name", "kind"],
        measures: ["events", "last"],
        limit: isAll ? allRows : topRows,
      },
    ],
    { filters: view.value.filters, body: withCrawlers },
  )
  return (
    <div class="columns">
      <EventsOverTime query={query} />
      <TopEvents query={query} onAll={() => setAll(true)} />
    </div>
  )
}

function EventsOverTime({ query }: { query: QueryState }) {
  const rows = query.rows<{ date: string; events: number }>("trend")
  return (
    <Panel title="Events over time" actions={<GranularitySwitch />}>
      <Loaded query={query} id="trend" height={chartHeight + 36}>
        {() => (
          <RangeChart
            name="This person's events over time"
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

function ShowAll({ count, onAll }: { count: number; onAll: () => void }) {
  const format = useFormat()
  // The button disappears when pressed.
  const button = useKeepFocus()
  return (
    <button type="button" class="button small person-all" ref={button} onClick={onAll}>
      Show all {format.count(count)}
    </button>
  )
}

function TopEvents({ query, onAll }: { query: QueryState; onAll: () => void }) {
  const { router } = useApp()
  const format = useFormat()
  const rows = query.rows<{ event_name: string; kind: EventKind; events: number; last: string }>("top")
  const max = Math.max(...rows.map((row) => row.events), 1)
  const total = query.meta("top")?.total ?? 0
  return (
    <Panel
      title="Top events"
      actions={
        <CardMenu
          file="person-top-events"
          columns={["name", "kind", "events", "last"]}
          rows={rows.map((row) => [row.event_name, row.kind, row.events, new Date(row.last).toISOString()])}
        />
      }
    >
      <Loaded query={query} id="top" height={chartHeight + 36}>
        {() =>
          rows.length === 0 ? (
            <Empty title="No events in this range" />
          ) : (
            <>
              <DataTable
                name="Top events"
                columns={["Event", "Events"]}
                numeric={[false, true]}
                bars={rows.map((row) => row.events / max)}
                keys={rows.map((row) => `${row.kind} ${row.event_name}`)}
                rows={rows.map((row) => [
                  row.kind === "custom" ? (
                    <Link key="name" href={router.pageHref("event", { name: row.event_name })}>
                      {row.event_name}
                    </Link>
                  ) : row.kind === "web_vital" ? (
                    row.event_name
                  ) : (
                    kindNames[row.kind]
                  ),
                  format.count(row.events),
                ])}
              />
              {rows.length === topRows && total > topRows && <ShowAll count={total} onAll={onAll} />}
            </>
          )
        }
      </Loaded>
    </Panel>
  )
}
