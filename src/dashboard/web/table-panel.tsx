import type { ComponentChildren } from "preact"
import { useState } from "preact/hooks"
import { CardMenu } from "../components/charts/card-menu.tsx"
import { type Sort, sortOption } from "../components/charts/data-table.tsx"
import { RowTable, useChangeColumn } from "../components/charts/row-table.tsx"
import { Pager } from "../components/controls/pager.tsx"
import { Segmented } from "../components/controls/segmented.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Value, ValueText } from "../components/controls/value.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { PeopleLink } from "../components/people/people-link.tsx"
import { useApp } from "../state/app.ts"
import { compared, type PinnedTile } from "../state/boards.ts"
import type { ChartName } from "../state/embed.ts"
import { valueFilter } from "../state/filters.ts"
import type { Format } from "../state/format.ts"
import { comparisonOption, type Parameter } from "../state/query-cache.ts"
import type { Comparison } from "../state/range.ts"
import { type QueryState, useQuery, useRunQuery } from "../state/use-query.ts"
import { pageViewPeople } from "./page-view-people.ts"
import { allRows, type Row, type Tab } from "./tabs.ts"

/** Number of rows per page, and maximum number of rows in a CSV file (the API's limit per request). */
const pageRows = 10
const fileRows = 10_000
/** Height in px of a full table with its footer. */
const tableHeight = 428

/** The parameter that queries a tab's first page. */
export function parameterOf(
  { name, isCompared = false, loadsAllRows }: Tab,
  compare: Comparison | undefined,
): Parameter {
  return { name, limit: loadsAllRows ? allRows : pageRows, ...comparisonOption(isCompared && compare) }
}

/** The first page of a tab, as a tile for boards. */
function tileOf(
  title: string,
  { name, label, heading, column = "name", measures, isCompared }: Tab,
): PinnedTile {
  return {
    kind: "table",
    title: title === label ? title : `${title}: ${label.toLowerCase()}`,
    query: { parameters: [{ name, limit: pageRows, ...(isCompared ? compared : {}) }] },
    columns: [
      { column, label: heading, format: "text" },
      ...measures.map((measure) => ({
        column: measure.column,
        label: measure.label,
        format: measure.unit ?? ("count" as const),
      })),
    ],
  }
}

interface TablePanelProps {
  title: string
  /** The URL parameter for the selected tab, which is also the panel's name in embedded pages. */
  param: ChartName
  tabs: readonly [Tab, ...Tab[]]
  /** Contains the first page of the first tab. The panel itself queries other tabs and pages. */
  query: QueryState
  /** Whether short tables are as tall as full ones, so that switching tabs does not move the panels below. */
  hasFixedHeight?: boolean
  /** Shown next to the table. */
  children?: ComponentChildren
}

/** Tabs with one table each. Clicking a row filters the page by the row's value. */
export function TablePanel({ title, param, tabs, query, hasFixedHeight = false, children }: TablePanelProps) {
  const { router, view } = useApp()
  const chosen = router.location.value.params.get(param)
  const tab = tabs.find(({ name }) => name === chosen) ?? tabs[0]
  const { page, sort, setPage, setSort } = useTablePosition(tab)
  const { compare } = view.value
  const isLoadedByPage = tab === tabs[0] && (page === 1 || tab.loadsAllRows) && !sort
  const sorting = sort ? sortOption(sort, compare) : {}
  const tabQuery = useQuery(
    isLoadedByPage
      ? undefined
      : [{ ...parameterOf(tab, compare), ...sorting, page: tab.loadsAllRows ? 1 : page }],
  )
  return (
    <Panel
      title={title}
      chart={param}
      class="web-panel"
      pin={tileOf(title, tab)}
      actions={
        <Segmented
          legend={`${title} table`}
          options={tabs.map(({ name, label }) => ({ value: name, label }))}
          value={tab.name}
          onChange={(name) =>
            router.setParams({ [param]: name === tabs[0].name ? undefined : name }, "replace")
          }
        />
      }
    >
      <div class={children ? "web-beside" : hasFixedHeight ? "web-fixed" : undefined}>
        {children}
        <Table
          title={title}
          tab={tab}
          query={isLoadedByPage ? query : tabQuery}
          page={page}
          onPage={setPage}
          sort={sort ?? { by: tab.measures[0].column, order: "desc" }}
          onSort={setSort}
        />
      </div>
    </Panel>
  )
}

/**
 * Returns the current page of a table, and its sorting unless that is the default. Resets to the first page when the
 * tab, website, range, filters or sorting change.
 */
function useTablePosition(tab: Tab) {
  const { view } = useApp()
  const { website, range, zone, filters } = view.value
  const key = JSON.stringify([tab.name, website, range, zone, filters])
  const [position, setPosition] = useState({ key, page: 1 })
  const [sorting, setSorting] = useState<{ name: string; sort: Sort }>()
  return {
    page: position.key === key ? position.page : 1,
    setPage: (page: number) => setPosition({ key, page }),
    sort: sorting?.name === tab.name ? sorting.sort : undefined,
    setSort: (sort: Sort) => {
      setSorting({ name: tab.name, sort })
      setPosition({ key, page: 1 })
    },
  }
}

interface TableProps {
  title: string
  tab: Tab
  query: QueryState
  page: number
  onPage: (page: number) => void
  sort: Sort
  onSort: (sort: Sort) => void
}

function Table({ title, tab, query, page, onPage, sort, onSort }: TableProps) {
  const format = useFormat()
  const { view } = useApp()
  const runQuery = useRunQuery()
  const { name, heading, measures, isCompared, loadsAllRows, textOf, filterOf, hasPeople } = tab
  const firstValue = (row: Row) => numberIn(row, measures[0].column)
  const change = useChangeColumn<Row>({
    value: firstValue,
    previous: (row) => row.previous?.[measures[0].column],
  })
  const loadCsvRows = async () => {
    const all = await runQuery<Row>({
      ...parameterOf(tab, view.value.compare),
      ...sortOption(sort, view.value.compare),
      limit: fileRows,
    })
    return all.map((row) => [textOf(row), ...measures.map(({ column }) => row[column])])
  }
  return (
    <div class="web-table">
      <Loaded query={query} id={name} height={tableHeight}>
        {() => {
          const loaded = query.rows<Row>(name)
          const rows = loadsAllRows ? loaded.slice((page - 1) * pageRows, page * pageRows) : loaded
          if (rows.length === 0) return <Empty title={tab.empty} />
          const max = Math.max(...rows.map(firstValue), 1)
          return (
            <RowTable
              name={`${title}: ${heading}`}
              rows={rows}
              keyOf={textsOf}
              barOf={(row) => firstValue(row) / max}
              sort={sort}
              onSort={onSort}
              columns={[
                { heading, cell: (row) => <RowText tab={tab} row={row} /> },
                ...measures.map(({ label, column, unit }) => ({
                  heading: label,
                  sort: column,
                  isNumber: true,
                  cell: (row: Row) => {
                    const text = measureText(numberIn(row, column), unit, format)
                    const filter = filterOf?.(row)
                    const rowFilters = filter && [
                      ...view.value.filters,
                      valueFilter(filter.field, filter.value),
                    ]
                    const people =
                      hasPeople && column === "visitors" && rowFilters && pageViewPeople(rowFilters)
                    return people ? (
                      <PeopleLink {...people} count={numberIn(row, column)}>
                        {text}
                      </PeopleLink>
                    ) : (
                      text
                    )
                  },
                })),
                ...(isCompared ? change : []),
              ]}
            />
          )
        }}
      </Loaded>
      {!query.isLoading && query.rows(name).length > 0 && (
        <div class="table-foot">
          <Pager
            page={page}
            size={pageRows}
            total={query.meta(name)?.total ?? query.rows(name).length}
            onPage={onPage}
          />
          <CardMenu
            file={name.replaceAll("_", "-")}
            columns={[heading.toLowerCase(), ...measures.map((measure) => measure.heading)]}
            rows={loadCsvRows}
          />
        </div>
      )}
    </div>
  )
}

function RowText({ tab: { textOf, filterOf }, row }: { tab: Tab; row: Row }) {
  const text = textOf(row)
  const filter = filterOf?.(row)
  return filter ? (
    <Value {...filter}>{text.trim() === "" ? undefined : text}</Value>
  ) : (
    <span class="value" title={text}>
      <ValueText value={text} />
    </span>
  )
}

/** Returns a key for a row, so that the row keeps the focus when filtering moves it. */
function textsOf(row: Row): string {
  return JSON.stringify(Object.values(row).filter((value) => typeof value === "string"))
}

function numberIn(row: Row, column: string): number {
  const value = row[column]
  return typeof value === "number" ? value : 0
}

function measureText(value: number, unit: "seconds" | "percent" | undefined, format: Format): string {
  if (unit === "seconds") return format.duration(value * 1_000)
  return unit === "percent" ? format.rate(value) : format.count(value)
}
