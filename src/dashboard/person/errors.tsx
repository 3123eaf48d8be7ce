import { Segmented } from "../components/controls/segmented.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded } from "../components/layout/panel.tsx"
import { useApp } from "../state/app.ts"
import type { ApiEvent } from "../state/event-filter.ts"
import { kindOf } from "../state/event-text.ts"
import { addDays } from "../state/range.ts"
import { useQuery } from "../state/use-query.ts"
import { Days } from "./event-days.tsx"
import { type PersonId, personParam, withCrawlers } from "./person-id.ts"

/** Maximum number of errors to step through, latest first. */
const maxErrors = 100
/** Number of events to show before an error, and how many days back to search for them. */
const eventsBefore = 30
const daysBefore = 30

/** The person's errors in the range, and the selected one. */
export interface PersonErrors {
  /** Times of the errors in Unix ms, latest first. */
  times: readonly number[]
  /** Whether the range has more errors than `times`. */
  isTruncated: boolean
  /** Index of the selected error; undefined if none is selected. */
  selected: number | undefined
  select: (index: number | undefined) => void
}

/** Loads the times of the person's errors. The URL parameter `error` holds the time of the selected error. */
export function usePersonErrors(person: PersonId): PersonErrors {
  const { router, view } = useApp()
  const parameter = {
    name: "person",
    id: "errors",
    ...personParam(person),
    filters: [{ field: "kind", op: "eq", value: "error" }],
    limit: maxErrors,
  }
  const query = useQuery([parameter], { filters: view.value.filters, body: withCrawlers })
  const times = query.rows<ApiEvent>("errors").map(({ timestamp }) => Date.parse(timestamp))
  const chosen = router.location.value.params.get("error")
  const isSelected = chosen !== null && times.length > 0
  return {
    times,
    isTruncated: query.meta("errors")?.nextCursor != null,
    // If the selected error is outside the range, the latest error in the range is shown instead.
    selected: isSelected ? Math.max(0, times.indexOf(Date.parse(chosen))) : undefined,
    select: (index) => {
      const time = index === undefined ? undefined : times[index]
      router.setParams({ error: time === undefined ? undefined : new Date(time).toISOString() }, "replace")
    },
  }
}

/** Switches between all events and the errors. Renders nothing if the person has no errors. */
export function ErrorSwitch({ errors: { times, isTruncated, selected, select } }: { errors: PersonErrors }) {
  const format = useFormat()
  if (times.length === 0) return null
  const count = `${format.count(times.length)}${isTruncated ? "+" : ""}`
  return (
    <Segmented
      legend="Events"
      options={[
        { value: "all", label: "All events" },
        { value: "errors", label: `Errors (${count})` },
      ]}
      value={selected === undefined ? "all" : "errors"}
      onChange={(value) => select(value === "all" ? undefined : 0)}
    />
  )
}

interface BeforeErrorProps {
  person: PersonId
  errors: PersonErrors
  /** Index of the selected error. */
  selected: number
}

/** An error and the events before it, oldest first, with buttons for the previous and the next error. */
export function BeforeError({ person, errors: { times, isTruncated, select }, selected }: BeforeErrorProps) {
  const format = useFormat()
  const time = times[selected] ?? 0
  const iso = new Date(time).toISOString()
  const query = useQuery(
    [
      {
        name: "person",
        id: "before",
        ...personParam(person),
        start_date: `${addDays(iso.slice(0, 10), -daysBefore)}T00:00:00Z`,
        end_date: new Date(time + 1).toISOString(),
        limit: eventsBefore + 1,
      },
    ],
    { body: withCrawlers },
  )
  const step = (to: number, label: string) => (
    <button
      type="button"
      class="button small"
      aria-disabled={times[to] === undefined}
      onClick={() => times[to] !== undefined && select(to)}
    >
      {label}
    </button>
  )
  return (
    <>
      <div class="person-error">
        {step(selected + 1, "Previous error")}
        <span>
          Error {format.count(times.length - selected)} of {isTruncated && "the latest "}
          {format.count(times.length)}, {format.time(iso)}
        </span>
        {step(selected - 1, "Next error")}
      </div>
      <Loaded query={query} id="before" height={480}>
        {() => {
          const events = query.rows<ApiEvent>("before").toReversed()
          return (
            <Days
              events={events}
              order="oldest first"
              isTruncated={query.meta("before")?.nextCursor != null}
              isProfile={person.kind === "profile"}
              selected={events.findLast((event) => kindOf(event) === "error")}
            />
          )
        }}
      </Loaded>
    </>
  )
}
