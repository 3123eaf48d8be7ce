import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { DataTable, DownloadCsv, type Sort } from "../components/charts/data-table.tsx"
import { Change } from "../components/charts/stat.tsx"
import { Link } from "../components/controls/link.tsx"
import { Pager } from "../components/controls/pager.tsx"
import { SearchField } from "../components/controls/search-field.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Page } from "../components/layout/page.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { useAsk, useQuery } from "../state/use-query.ts"

/** Names of a page of the table. */
const pageRows = 50
/** Names of a file: as many rows as the API gives at a time. */
const fileRows = 10_000
/** px of the first rows; there is nothing below them that could jump. */
const tableHeight = 446

interface NameRow {
  name: string
  total_events: number
  unique_users: number
  unique_sessions: number
  last_occurrence: string
  previous?: { total_events: number } | null
}

/** What the table can be sorted by: in the address, and in the API. */
const sortable: Record<string, string> = {
  name: "name",
  events: "total_events",
  visitors: "unique_users",
  sessions: "unique_sessions",
  seen: "last_occurrence",
}

const standardSort: Sort = { by: "events", order: "desc" }

function readSort(params: URLSearchParams): Sort {
  const by = params.get("sort") ?? ""
  if (!Object.hasOwn(sortable, by)) return standardSort
  return { by, order: params.get("order") === "asc" ? "asc" : "desc" }
}

/** All names of events that there are in the range. */
export function Events() {
  const { place, view } = useApp()
  const { params } = place.spot.value
  const search = params.get("search") ?? ""
  const sort = readSort(params)
  const page = Math.max(1, Math.floor(Number(params.get("page")) || 1))
  const asked = {
    name: "custom_events",
    id: "names",
    sortBy: sortable[sort.by],
    sortOrder: sort.order,
    ...(search === "" ? {} : { filters: [{ field: "event_name", op: "contains", value: search }] }),
    ...(view.value.compare ? { compare: "previous_period" } : {}),
  }
  const answered = useQuery([
    { ...asked, limit: pageRows, page },
    { name: "custom_events_summary", id: "summary" },
  ])
  const ask = useAsk()
  const whole = answered.rows<{ total_events: number }>("summary")[0]?.total_events ?? 0
  const fileOf = async () => {
    return csvRows(await ask<NameRow>({ ...asked, limit: fileRows }), whole)
  }
  return (
    <Page title="Events">
      <Panel
        title="All events"
        actions={
          <>
            <SearchField
              label="Search events"
              value={search}
              pageKey="/"
              onSearch={(text) => place.set({ search: text || undefined, page: undefined }, "replace")}
            />
            <DownloadCsv file="events" columns={csvColumns} rows={fileOf} />
          </>
        }
      >
        <Loaded answered={answered} of="names" height={tableHeight}>
          {() => {
            const rows = answered.rows<NameRow>("names")
            const total = answered.meta("names")?.total ?? rows.length
            return rows.length === 0 ? (
              <NoRows search={search} isBeyond={total > 0} />
            ) : (
              <>
                <NameTable rows={rows} whole={whole} sort={sort} />
                <Pager
                  page={page}
                  size={pageRows}
                  total={total}
                  onPage={(next) => place.set({ page: next === 1 ? undefined : String(next) })}
                />
              </>
            )
          }}
        </Loaded>
        <ComparisonNote answered={answered} of="names" />
      </Panel>
    </Page>
  )
}

interface NameTableProps {
  rows: readonly NameRow[]
  /** All events of the range, also those whose name was not searched for. */
  whole: number
  sort: Sort
}

function NameTable({ rows, whole, sort }: NameTableProps) {
  const { place, view, now } = useApp()
  const format = useFormat()
  const { compare } = view.value
  return (
    <DataTable
      name="All events"
      columns={[
        "Event",
        "Events",
        "Share",
        ...(compare ? ["Change"] : []),
        "Visitors",
        "Sessions",
        "Last seen",
      ]}
      numeric={[false, true, true, ...(compare ? [true] : []), true, true, true]}
      bars={rows.map((row) => shareOf(row, whole) / 100)}
      keys={rows.map((row) => row.name)}
      sorting={{
        ...sort,
        keys: ["name", "events", undefined, ...(compare ? [undefined] : []), "visitors", "sessions", "seen"],
        onSort: ({ by, order }) => place.set({ sort: by, order, page: undefined }, "replace"),
      }}
      rows={rows.map((row) => [
        <Link key="name" href={place.to("event", { name: row.name })}>
          {row.name}
        </Link>,
        format.count(row.total_events),
        format.rate(shareOf(row, whole)),
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
        format.count(row.unique_users),
        format.count(row.unique_sessions),
        <time key="seen" dateTime={row.last_occurrence} title={format.time(row.last_occurrence)}>
          {format.ago(row.last_occurrence, now())}
        </time>,
      ])}
    />
  )
}

/** Percent. */
function shareOf({ total_events }: NameRow, whole: number): number {
  return whole === 0 ? 0 : (100 * total_events) / whole
}

const csvColumns = [
  "name",
  "events",
  "share in percent",
  "events before",
  "visitors",
  "sessions",
  "last seen",
]

function csvRows(rows: readonly NameRow[], whole: number) {
  return rows.map((row) => [
    row.name,
    row.total_events,
    // As the API gives it.
    Math.round(100 * shareOf(row, whole)) / 100,
    row.previous?.total_events,
    row.unique_users,
    row.unique_sessions,
    row.last_occurrence,
  ])
}

function NoRows({ search, isBeyond }: { search: string; isBeyond: boolean }) {
  const { place } = useApp()
  if (isBeyond) {
    return (
      <Empty title="The list is shorter than that">
        <Link class="button" href={place.with({ page: undefined })}>
          To its begin
        </Link>
      </Empty>
    )
  }
  if (search === "") return <NoMatch />
  return (
    <Empty title={`No event has “${search}” in its name`}>
      <p>Capital and small letters are told apart.</p>
      <Link class="button" href={place.with({ search: undefined, page: undefined })}>
        Show all events
      </Link>
    </Empty>
  )
}
