import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { RangeChart } from "../components/charts/range-chart.tsx"
import { Stat } from "../components/charts/stat.tsx"
import { stepParam } from "../components/controls/event-picker.tsx"
import { GranularitySwitch, useGranularity, useProgress } from "../components/controls/granularity.tsx"
import { Link } from "../components/controls/link.tsx"
import { Segmented } from "../components/controls/segmented.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Page } from "../components/layout/page.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import type { Filter } from "../state/filters.ts"
import { type Answered, useQuery } from "../state/use-query.ts"
import { Breakdown } from "./breakdown.tsx"
import "./event.css"
import type { Kind } from "./kind.ts"
import { Properties } from "./properties.tsx"

/** Properties that are known by name: what a page can list, and what the API compares with at once. */
const knownKeys = 1_000

interface Counts {
  total_events: number
  unique_users: number
  unique_sessions: number
}

interface Compared extends Counts {
  previous?: Counts | null
}

/** The page of one event, which the address names. */
export function EventPage() {
  const { place } = useApp()
  const name = place.spot.value.params.get("name") ?? ""
  if (name !== "") return <OneEvent key={name} name={name} />
  return (
    <Page title="Event">
      <Empty title="No event is chosen">
        <Link class="button" href={place.to("events")}>
          Choose one
        </Link>
      </Empty>
    </Page>
  )
}

function OneEvent({ name }: { name: string }) {
  const { view } = useApp()
  const granularity = useGranularity()
  const { filters, compare } = view.value
  const comparing = compare ? { compare: "previous_period" } : {}
  const ofEvent: Filter[] = [...filters, { field: "event_name", op: "eq", value: name }]
  const counted = useQuery(
    [
      { name: "custom_events_summary", id: "summary", ...comparing },
      { name: "custom_events_trends", id: "course", granularity, ...comparing },
    ],
    { filters: ofEvent },
  )
  const described = useQuery(
    [{ name: "custom_events_property_classification", id: "kinds", top: 1, limit: knownKeys }],
    { filters: ofEvent },
  )
  const kinds = described.rows<Kind>("kinds")
  const isNothing = counted.rows<Counts>("summary")[0]?.total_events === 0
  return (
    <Page title={name} actions={<Uses name={name} />}>
      <Numbers answered={counted} />
      <OverTime answered={counted} />
      {!isNothing && (
        <>
          <Breakdown filters={ofEvent} keys={kinds.map((kind) => kind.property_key)} />
          <Properties event={name} filters={ofEvent} answered={described} />
        </>
      )}
    </Page>
  )
}

/** What else can be seen of the event. */
function Uses({ name }: { name: string }) {
  const { place, session } = useApp()
  const step = stepParam({ name, filters: [] })
  return (
    <>
      {!session.me.value?.share && (
        <Link class="button" href={place.to("live", { name })}>
          Newest events
        </Link>
      )}
      <Link class="button" href={place.to("goals", { step })}>
        Make it a goal
      </Link>
      <Link class="button" href={place.to("funnels", { step })}>
        Start a funnel
      </Link>
    </>
  )
}

const perVisitor = ({ total_events, unique_users }: Counts) =>
  unique_users === 0 ? 0 : total_events / unique_users

function Numbers({ answered }: { answered: Answered }) {
  const { view } = useApp()
  const format = useFormat()
  const course = answered.rows<Counts & { date: string }>("course")
  const { begun, isRunning } = useProgress(course.map(({ date }) => date))
  const stats = [
    { label: "Events", of: (one: Counts) => one.total_events },
    { label: "Visitors", of: (one: Counts) => one.unique_users },
    { label: "Sessions", of: (one: Counts) => one.unique_sessions },
    { label: "Events per visitor", of: perVisitor, show: (value: number) => format.number(value) },
  ]
  return (
    <section class="panel stats" aria-label="The range in numbers">
      <Loaded answered={answered} of="summary" height={88}>
        {() => {
          const [summary] = answered.rows<Compared>("summary")
          const previous = summary?.previous
          return (
            <dl class="stats-row">
              {stats.map(({ label, of, show }) => (
                <Stat
                  key={label}
                  label={label}
                  value={summary ? of(summary) : 0}
                  before={view.value.compare ? (previous ? of(previous) : 0) : undefined}
                  values={course.slice(0, begun).map(of)}
                  isRunning={isRunning}
                  format={format}
                  {...(show ? { show } : {})}
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

const measures = [
  { value: "events", label: "Events", of: (one: Counts) => one.total_events },
  { value: "visitors", label: "Visitors", of: (one: Counts) => one.unique_users },
] as const

/** The event over time, and how it was in the period before. */
function OverTime({ answered }: { answered: Answered }) {
  const { place, view } = useApp()
  const shown = measures.find(({ value }) => value === place.spot.value.params.get("show")) ?? measures[0]
  const title = `${shown.label} over time`
  return (
    <Panel
      title={title}
      actions={
        <>
          <Segmented
            legend="Shown"
            options={measures}
            value={shown.value}
            onChange={(show) => place.set({ show }, "replace")}
          />
          <GranularitySwitch />
        </>
      }
    >
      <Loaded answered={answered} of="course" height={296}>
        {() => {
          const course = answered.rows<Compared & { date: string }>("course")
          if (course.every(({ total_events }) => total_events === 0)) return <NoMatch />
          const before = {
            name: "The period before",
            values: course.map(({ previous }) => (previous ? shown.of(previous) : undefined)),
            isBefore: true,
          } as const
          return (
            <RangeChart
              name={title}
              file={`${shown.value}-over-time`}
              kind="bars"
              dates={course.map(({ date }) => date)}
              series={[
                { name: shown.label, values: course.map(shown.of) },
                ...(view.value.compare ? [before] : []),
              ]}
            />
          )
        }}
      </Loaded>
    </Panel>
  )
}
