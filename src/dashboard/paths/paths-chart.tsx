import { CardMenu } from "../components/charts/card-menu.tsx"
import { ScrollBox } from "../components/charts/data-table.tsx"
import { stepParam } from "../components/controls/event-picker.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import type { QueryState } from "../state/use-query.ts"

/** A row of the query type `paths`. */
interface Row {
  /** Number of steps from the event; negative for steps before it. */
  place: number
  /** null if the session started or ended at this step. */
  event_name: string | null
  /** The path of a page view; null for other events. */
  page: string | null
  sessions: number
  percentage: number
}

interface PathsPanelProps {
  query: QueryState
  /** The selected event, as text. */
  event: string
  rowsPerStep: number
}

/** The steps before and after an event: one column per step, most frequent events first. */
export function PathsPanel({ query, event, rowsPerStep }: PathsPanelProps) {
  const format = useFormat()
  const rows = query.rows<Row>("paths")
  const places = [...new Set(rows.map(({ place }) => place))].sort((a, b) => a - b)
  const [before, after] = [places.filter((place) => place < 0), places.filter((place) => place > 0)]
  const column = (place: number) => (
    <Column
      key={place}
      place={place}
      rows={rows.filter((row) => row.place === place)}
      rowsPerStep={rowsPerStep}
    />
  )
  return (
    <Panel
      title="Steps before and after"
      chart="paths"
      hint="Based on the first occurrence per session. Click an event to see its paths."
      actions={
        <CardMenu
          file="paths"
          columns={["step", "event", "sessions", "percent"]}
          rows={rows.map((row) => [row.place, labelOf(row), row.sessions, row.percentage])}
        />
      }
    >
      <Loaded query={query} id="paths" height={430}>
        {() =>
          rows.length === 0 ? (
            <Empty title="No sessions with this event in this range">
              Only events with a session ID have paths. Try a longer range or another event.
            </Empty>
          ) : (
            <ScrollBox>
              <div class="paths-places">
                {before.map(column)}
                <section class="paths-middle">
                  <h3>Event</h3>
                  <p class="paths-event">{event}</p>
                  <p class="muted">{format.countOf(sessionCount(rows), "session")}</p>
                </section>
                {after.map(column)}
              </div>
            </ScrollBox>
          )
        }
      </Loaded>
    </Panel>
  )
}

function Column({ place, rows, rowsPerStep }: { place: number; rows: readonly Row[]; rowsPerStep: number }) {
  const { router } = useApp()
  const names = rows.filter((row) => row.event_name !== null)
  const first = names.slice(0, rowsPerStep)
  const rest = names.slice(rowsPerStep)
  const restSessions = rest.reduce((sum, { sessions }) => sum + sessions, 0)
  const restPercentage = rest.reduce((sum, { percentage }) => sum + percentage, 0)
  const end = rows.find((row) => row.event_name === null)
  return (
    <section>
      <h3>{columnTitle(place)}</h3>
      <ol>
        {end && <Item name={edgeLabel(place)} sessions={end.sessions} percentage={end.percentage} isEdge />}
        {first.map((row) => (
          <Item
            key={labelOf(row)}
            name={labelOf(row)}
            sessions={row.sessions}
            percentage={row.percentage}
            {...(row.page === null && {
              href: router.hrefWith({ step: stepParam({ name: row.event_name ?? "", filters: [] }) }),
            })}
          />
        ))}
        {rest.length > 0 && (
          <Item
            name={rest.length === 1 ? "1 other" : `${rest.length} others`}
            sessions={restSessions}
            percentage={restPercentage}
          />
        )}
      </ol>
    </section>
  )
}

interface ItemProps {
  name: string
  sessions: number
  percentage: number
  /** Link to the event's paths. Absent for page views, for session starts and ends, and for the row of other events. */
  href?: string
  /** Whether the row is a session start or end. */
  isEdge?: boolean
}

function Item({ name, sessions, percentage, href, isEdge = false }: ItemProps) {
  const format = useFormat()
  return (
    <li class={isEdge ? "paths-item edge" : "paths-item"}>
      <span class="paths-bar" style={{ width: `${Math.min(100, percentage)}%` }} aria-hidden="true" />
      <span class="paths-name" title={name}>
        {href === undefined ? name : <Link href={href}>{name}</Link>}
      </span>
      <span class="paths-figures">
        <span>
          {format.count(sessions)}
          <span class="hidden"> sessions,</span>
        </span>
        <span>{format.rate(percentage)}</span>
      </span>
    </li>
  )
}

function columnTitle(place: number): string {
  if (place === -1) return "1 step before"
  if (place === 1) return "1 step after"
  return place < 0 ? `${-place} steps before` : `${place} steps after`
}

/** A page view is labeled with its page, because all page views have the same event name. */
function labelOf({ place, event_name, page }: Row): string {
  if (page !== null) return page === "" ? "Page without a path" : `Page ${page}`
  return event_name ?? edgeLabel(place)
}

function edgeLabel(place: number): string {
  return place < 0 ? "Session start" : "Session end"
}

/** Returns the total number of sessions. Each session is in exactly one row of each column next to the event. */
function sessionCount(rows: readonly Row[]): number {
  const nearest = rows.some(({ place }) => place === 1) ? 1 : -1
  return rows.filter(({ place }) => place === nearest).reduce((sum, { sessions }) => sum + sessions, 0)
}
