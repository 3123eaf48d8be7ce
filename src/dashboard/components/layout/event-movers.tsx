import { useApp } from "../../state/app.ts"
import { eventFilters, filterParam, valueFilter } from "../../state/filters.ts"
import { comparisonOption } from "../../state/query-cache.ts"
import { type QueryState, useQuery } from "../../state/use-query.ts"
import { type Mover, moverText, shareWords } from "../charts/explanation.tsx"
import { Change, useDirection } from "../charts/stat.tsx"
import { Link } from "../controls/link.tsx"
import { useFormat } from "../controls/use-format.ts"
import { Loaded, Panel } from "./panel.tsx"
import "./movers.css"

/** Maximum number of events per list. */
const listed = 3
/**
 * If events are independent, a random change exceeds this number of standard deviations in one of twenty cases.
 * Smaller changes are not listed.
 */
const minDeviations = 2

interface NameRow {
  name: string
  total_events: number
  previous?: { total_events: number } | null
}

const lists = [
  { id: "fell", title: "Largest decreases", none: "No significant decrease.", sign: -1, sortOrder: "asc" },
  { id: "rose", title: "Largest increases", none: "No significant increase.", sign: 1, sortOrder: "desc" },
] as const

interface EventMoversProps {
  /** Whether the previous period has events. */
  isComparable: boolean
}

/**
 * The events with the largest decreases and increases, weighted by volume, each with the value that best explains the
 * change.
 */
export function EventMovers({ isComparable }: EventMoversProps) {
  const { view } = useApp()
  const { compare } = view.value
  const query = useQuery(
    compare
      ? lists.map(({ id, sortOrder }) => ({
          name: "custom_events",
          id,
          sortBy: "weighted_change",
          sortOrder,
          limit: listed,
          ...comparisonOption(compare),
        }))
      : undefined,
  )
  const rows = lists.map(({ id, sign }) =>
    query.rows<NameRow>(id).filter((row) => sign * deviations(row) >= minDeviations),
  )
  const names = isComparable ? rows.flat().map(({ name }) => name) : []
  const explanations = useQuery(
    names.length > 0
      ? names.map((name) => ({
          name: "movers",
          id: name,
          filters: eventFilters(name),
          limit: 1,
          ...comparisonOption(compare),
        }))
      : undefined,
  )
  if (!compare) return null
  return (
    <Panel
      title="What changed"
      chart="movers"
      isLoading={query.isLoading}
      hint="Events with the largest changes, by percentage and volume. Changes that could be random are left out."
    >
      <Loaded query={query} id="fell" height={[178, 178]}>
        {() => (
          <div class="columns">
            {lists.map(({ id, title, none }, index) => (
              <section key={id} aria-label={title}>
                <h3 class="movers-title">{title}</h3>
                <MoverList
                  rows={isComparable ? (rows[index] ?? []) : []}
                  empty={isComparable ? none : "No events to compare with."}
                  explanations={explanations}
                />
              </section>
            ))}
          </div>
        )}
      </Loaded>
    </Panel>
  )
}

/** The change in the number of events, measured in standard deviations of a random change. */
function deviations({ total_events: now, previous }: NameRow): number {
  const before = previous?.total_events ?? 0
  return now + before === 0 ? 0 : (now - before) / Math.sqrt(now + before)
}

interface MoverListProps {
  rows: readonly NameRow[]
  /** Shown instead of an empty list. */
  empty: string
  explanations: QueryState
}

function MoverList({ rows, empty, explanations }: MoverListProps) {
  const { router } = useApp()
  const format = useFormat()
  const directionOf = useDirection()
  return (
    <ul class="movers">
      {rows.length === 0 && <li class="muted">{empty}</li>}
      {rows.map(({ name, total_events: now, previous }) => {
        const before = previous?.total_events ?? 0
        return (
          <li key={name}>
            <span class="movers-event">
              <Link href={router.pageHref("event", { name })}>{name}</Link>{" "}
              <Change value={now} previous={before} better={directionOf(name)} format={format} />
            </span>
            <span class="movers-counts muted">
              {format.count(before)} → {format.count(now)}
              <Reason name={name} query={explanations} />
            </span>
          </li>
        )
      })}
    </ul>
  )
}

/**
 * Names the value that best explains an event's change. Renders nothing while loading, or if no single value explains
 * the change.
 */
function Reason({ name, query }: { name: string; query: QueryState }) {
  const { router, session, view } = useApp()
  const format = useFormat()
  const [mover] = query.rows<Mover>(name)
  const share = shareWords(mover)
  if (query.error || query.failure(name) !== undefined) return <> (could not load the explanation)</>
  if (!mover || !share) return null
  const text = moverText(mover, { format, session })
  const { filters } = view.value
  const f = [...filters, valueFilter(mover.field, mover.value)].map(filterParam)
  return (
    <span title={`${share} from ${text}`}>
      , {share} from <Link href={router.pageHref("event", { name, f })}>{text}</Link>
    </span>
  )
}
