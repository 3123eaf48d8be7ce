import type { ComponentChildren } from "preact"
import { useEffect, useRef, useState } from "preact/hooks"
import type { Comparison } from "../../state/range.ts"

/** A sort column and order. */
export interface Sort {
  by: string
  order: "asc" | "desc"
}

/**
 * Returns the sorting in the URL, or `fallback` if the URL has no valid sort column. `columns`: the sortable columns.
 * Sorting by change requires a comparison.
 */
export function readSort(
  params: URLSearchParams,
  columns: object,
  fallback: Sort,
  compare: Comparison | undefined,
): Sort {
  const by = params.get("sort") ?? ""
  if (!Object.hasOwn(columns, by) || (by === "change" && !compare)) return fallback
  return { by, order: params.get("order") === "asc" ? "asc" : "desc" }
}

/**
 * Returns the sort options of a query. If there is no comparison, sorting by change falls back to the query type's
 * default order.
 */
export function sortOption(
  { by, order }: Sort,
  compare: Comparison | undefined,
): { sortBy?: string; sortOrder?: string } {
  return by === "change" && !compare ? {} : { sortBy: by, sortOrder: order }
}

interface Sorting extends Sort {
  /** The sort key of each column; undefined if the column is not sortable. */
  keys: readonly (string | undefined)[]
  onSort: (sort: Sort) => void
}

interface DataTableProps {
  /** Accessible name. */
  name: string
  columns: readonly ComponentChildren[]
  rows: readonly (readonly ComponentChildren[])[]
  /** Whether each column holds numbers, which are right-aligned. */
  numeric?: readonly boolean[]
  /** The length of the bar behind the first cell of each row, 0 to 1. */
  bars?: readonly number[]
  keys?: readonly string[]
  /** Enables sorting. */
  sorting?: Sorting
}

/** A box that scrolls if its content is larger than the box. */
export function ScrollBox({ children }: { children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const element = box.current
    if (!element || element.closest(".hidden")) return
    // A scrollable box must be reachable by keyboard; any other box should not be a tab stop.
    const update = () => {
      const { scrollWidth, clientWidth, scrollHeight, clientHeight } = element
      element.tabIndex = scrollWidth > clientWidth || scrollHeight > clientHeight ? 0 : -1
    }
    const observer = new ResizeObserver(update)
    observer.observe(element)
    if (element.firstElementChild) observer.observe(element.firstElementChild)
    return () => observer.disconnect()
  }, [])
  return (
    <div class="table-box" ref={box}>
      {children}
    </div>
  )
}

/** A table with optional sorting and bars. */
export function DataTable({ name, columns, rows, numeric = [], bars, keys, sorting }: DataTableProps) {
  return (
    <ScrollBox>
      <table class="table">
        <caption class="hidden">{name}</caption>
        <thead>
          <tr>
            {columns.map((column, index) => (
              <Head
                key={index}
                isNumber={numeric[index] ?? false}
                sorting={sorting}
                sortKey={sorting?.keys[index]}
              >
                {column}
              </Head>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={keys?.[at] ?? at}>
              {row.map((cell, index) => (
                <td
                  key={index}
                  class={numeric[index] ? "number" : index === 0 && bars ? "with-bar" : undefined}
                >
                  {index === 0 && bars && <Bar share={bars[at] ?? 0} />}
                  {index === 0 && bars ? <span class="with-bar-text">{cell}</span> : cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollBox>
  )
}

interface SortedTableProps extends Omit<DataTableProps, "sorting"> {
  /**
   * The sort values of each row, one per column. If the first row has no value for a column, the column is not
   * sortable.
   */
  values: readonly (readonly (number | string | undefined)[])[]
}

/**
 * A table that receives all of its rows and sorts them in the browser. The rows keep their order until the user selects
 * a column.
 */
export function SortedTable({ values, rows, bars, keys, ...table }: SortedTableProps) {
  const [sort, setSort] = useState<Sort>({ by: "", order: "desc" })
  const column = Number(sort.by)
  const order = rows.map((_, at) => at)
  if (sort.by !== "") {
    const direction = sort.order === "asc" ? 1 : -1
    const valueAt = (at: number) => values[at]?.[column] ?? Number.NEGATIVE_INFINITY
    order.sort((a, b) => direction * (valueAt(a) < valueAt(b) ? -1 : Number(valueAt(a) > valueAt(b))))
  }
  const sorted = <Item,>(items: readonly Item[]) => order.flatMap((at) => items.slice(at, at + 1))
  return (
    <DataTable
      {...table}
      rows={sorted(rows)}
      {...(bars ? { bars: sorted(bars) } : {})}
      {...(keys ? { keys: sorted(keys) } : {})}
      sorting={{
        ...sort,
        keys: (values[0] ?? []).map((value, index) => (value === undefined ? undefined : String(index))),
        onSort: setSort,
      }}
    />
  )
}

/** Returns the relative change, for sorting. An increase from 0 counts as the largest change. */
export function changeValue(value: number, previous: number): number {
  if (previous !== 0) return (value - previous) / previous
  return value === 0 ? 0 : Number.POSITIVE_INFINITY
}

interface HeadProps {
  isNumber: boolean
  sorting: Sorting | undefined
  sortKey: string | undefined
  children: ComponentChildren
}

/**
 * A column header. The first click on a numeric column sorts in descending order, the next click in ascending order.
 */
function Head({ isNumber, sorting, sortKey, children }: HeadProps) {
  const className = isNumber ? "number" : undefined
  if (!sorting || sortKey === undefined) {
    return (
      <th scope="col" class={className}>
        {children}
      </th>
    )
  }
  const { by, order, onSort } = sorting
  const first = isNumber ? "desc" : "asc"
  const isSorted = by === sortKey
  const next = isSorted && order === first ? (first === "asc" ? "desc" : "asc") : first
  return (
    <th
      scope="col"
      class={className}
      aria-sort={isSorted ? (order === "asc" ? "ascending" : "descending") : undefined}
    >
      <button type="button" class="sort" onClick={() => onSort({ by: sortKey, order: next })}>
        {children}
        <span class="sort-arrow" aria-hidden="true">
          {isSorted ? (order === "asc" ? "↑" : "↓") : "\u00a0"}
        </span>
      </button>
    </th>
  )
}

function Bar({ share }: { share: number }) {
  return (
    <span class="bar" style={{ width: `${Math.max(0, Math.min(1, share)) * 100}%` }} aria-hidden="true" />
  )
}
