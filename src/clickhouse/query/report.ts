import type { Scan } from "./scan.ts"

/** Dependencies of a report. */
export interface ReportContext {
  /** Creates a scan of the events in the cluster and in the tail, which are the events that are not shipped yet. */
  scan: () => Scan
  /** Runs a statement and returns its rows as arrays. Rejects with a ClusterError. */
  run: <Row extends unknown[]>(scan: Scan, sql: string) => Promise<Row[]>
  /** See src/store/identity-resolution.ts. */
  latestProfileOf: (rid: number, anonymousId: string) => string | undefined
}

interface Page {
  columns: readonly string[]
  /** A subquery. */
  from: string
  order: readonly string[]
  limit: number
  offset: number
  /** Aggregates that are computed over all rows of the subquery. Each one is a number. */
  totals: readonly string[]
}

/**
 * Reads a page of sorted rows. The result's `totals` cover all pages, and are present even if the page is empty. Each
 * row also ends with the totals.
 */
export async function readPage<Row extends unknown[]>(
  scan: Scan,
  { columns, from, order, limit, offset, totals }: Page,
  { run }: Pick<ReportContext, "run">,
): Promise<{ rows: Row[]; totals: number[] }> {
  const overAll = totals.map((total) => `${total} over ()`)
  const rows = await run<Row>(
    scan,
    `select ${[...columns, ...overAll].join(", ")} from (${from})
    order by ${order.join(", ")}
    limit ${scan.bind("UInt64", limit)} offset ${scan.bind("UInt64", offset)}`,
  )
  const [last = offset === 0 ? totals.map(() => 0) : undefined] = rows.slice(-1)
  const values = last ?? (await run(scan, `select ${totals.join(", ")} from (${from})`))[0] ?? []
  // All totals are numbers.
  return { rows, totals: values.slice(-totals.length) as number[] }
}

/** Returns SQL for the nearest-rank percentile of a sorted array. The percentile of an empty array is null. */
export function nearestRank(sorted: string, percent: number): string {
  return `if(empty(${sorted}), null, arrayElement(${sorted}, intDiv(${percent} * length(${sorted}) + 99, 100)))`
}
