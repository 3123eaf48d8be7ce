import { DownloadCsv, ScrollBox } from "../components/charts/data-table.tsx"
import { stepParam } from "../components/controls/event-picker.tsx"
import { Link } from "../components/controls/link.tsx"
import { counted, units } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import type { Answered } from "../state/use-query.ts"

const [, session] = units

/** A row of the type `paths`. */
interface Row {
  /** Below 0: before the event. */
  place: number
  /** null: there the session began or ended. */
  event_name: string | null
  sessions: number
  percentage: number
}

interface PlacesPanelProps {
  answered: Answered
  /** The event in the middle, in words. */
  event: string
  /** Names of one column. */
  shown: number
}

/** What came before and after: a column for each place, the most frequent names first. */
export function PlacesPanel({ answered, event, shown }: PlacesPanelProps) {
  const format = useFormat()
  const rows = answered.rows<Row>("paths")
  const places = [...new Set(rows.map(({ place }) => place))].sort((a, b) => a - b)
  const [before, after] = [places.filter((place) => place < 0), places.filter((place) => place > 0)]
  const column = (place: number) => (
    <Column key={place} place={place} rows={rows.filter((row) => row.place === place)} shown={shown} />
  )
  return (
    <Panel
      title="What came before and after"
      hint="Of each session its first such event counts; shares are of all of these sessions. Choose a name to see what is around it."
      actions={
        <DownloadCsv
          file="paths"
          columns={["place", "event", "sessions", "percent"]}
          rows={rows.map((row) => [
            row.place,
            row.event_name ?? edge(row.place),
            row.sessions,
            row.percentage,
          ])}
        />
      }
    >
      <Loaded answered={answered} of="paths" height={430}>
        {() =>
          rows.length === 0 ? (
            <Empty title="No session in this range has this event">
              Only events that carry a session id have a path. Choose a longer range, or another event.
            </Empty>
          ) : (
            <ScrollBox>
              <div class="paths-places">
                {before.map(column)}
                <section class="paths-middle">
                  <h3>The event</h3>
                  <p class="paths-event">{event}</p>
                  <p class="muted">{counted(sessionsOf(rows), session, format)}</p>
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

function Column({ place, rows, shown }: { place: number; rows: readonly Row[]; shown: number }) {
  const here = useApp().place
  const names = rows.filter((row) => row.event_name !== null)
  const first = names.slice(0, shown)
  const rest = names.slice(shown)
  const others = rest.reduce((all, { sessions }) => all + sessions, 0)
  const share = rest.reduce((all, { percentage }) => all + percentage, 0)
  const end = rows.find((row) => row.event_name === null)
  return (
    <section>
      <h3>{titleOf(place)}</h3>
      <ol>
        {end && <Item name={edge(place)} sessions={end.sessions} percentage={end.percentage} isEdge />}
        {first.map(({ event_name, sessions, percentage }) => (
          <Item
            key={event_name}
            name={event_name ?? ""}
            sessions={sessions}
            percentage={percentage}
            href={here.with({ step: stepParam({ name: event_name ?? "", filters: [] }) })}
          />
        ))}
        {rest.length > 0 && (
          <Item
            name={rest.length === 1 ? "1 other" : `${rest.length} others`}
            sessions={others}
            percentage={share}
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
  /** Where it is an event to go to. */
  href?: string
  /** The session began or ended. */
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

function titleOf(place: number): string {
  if (place === -1) return "Just before"
  if (place === 1) return "Just after"
  return place < 0 ? `${-place} before` : `${place} after`
}

function edge(place: number): string {
  return place < 0 ? "Session began" : "Session ended"
}

/** Each of them has one name, or its end, at the nearest place. */
function sessionsOf(rows: readonly Row[]): number {
  const nearest = rows.some(({ place }) => place === 1) ? 1 : -1
  return rows.filter(({ place }) => place === nearest).reduce((all, { sessions }) => all + sessions, 0)
}
