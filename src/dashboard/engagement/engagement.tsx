import { CardMenu } from "../components/charts/card-menu.tsx"
import { DataTable } from "../components/charts/data-table.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoPageData } from "../components/layout/no-page-data.tsx"
import { Page } from "../components/layout/page.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { type QueryState, useQuery } from "../state/use-query.ts"
import { PageTable } from "./page-table.tsx"
import { forms, frustration, quality } from "./tables.ts"

const rowsPerTable = 50

const tables = [quality, frustration, forms]

/** How visitors use the pages that report engagement: attention, scroll depth, dead clicks and abandoned forms. */
export function Engagement() {
  const query = useQuery([
    { name: "scroll_depth_distribution" },
    ...tables.map(({ name }) => ({ name, limit: rowsPerTable })),
  ])
  const isEmpty = !query.isLoading && !query.error && query.rows(quality.name).length === 0
  return (
    <Page title="Engagement">
      {isEmpty ? (
        <section class="panel" aria-label="Engagement">
          <NoPageData what="engagement" option="data-track-interactions" />
        </section>
      ) : (
        <>
          <PageTable table={quality} query={query} />
          <ScrollDepth query={query} />
          <PageTable table={frustration} query={query} />
          <PageTable table={forms} query={query} />
        </>
      )}
    </Page>
  )
}

interface DepthRow {
  depth_range: string
  visitors: number
  sessions: number
  percentage: number
}

function ScrollDepth({ query }: { query: QueryState }) {
  const format = useFormat()
  const rows = query.rows<DepthRow>("scroll_depth_distribution")
  return (
    <Panel
      title="Scroll depth"
      chart="scroll"
      hint="Page views by the share of the page that was seen."
      actions={
        <CardMenu
          file="scroll-depth"
          columns={["scroll depth", "share in percent", "visitors", "sessions"]}
          rows={rows.map((row) => [row.depth_range, row.percentage, row.visitors, row.sessions])}
        />
      }
    >
      <Loaded query={query} id="scroll_depth_distribution" height={172}>
        {() => (
          <DataTable
            name="Scroll depth"
            columns={["Scroll depth", "Page views", "Visitors", "Sessions"]}
            numeric={[false, true, true, true]}
            bars={rows.map((row) => row.percentage / 100)}
            keys={rows.map((row) => row.depth_range)}
            rows={rows.map((row) => [
              row.depth_range,
              format.rate(row.percentage),
              format.count(row.visitors),
              format.count(row.sessions),
            ])}
          />
        )}
      </Loaded>
    </Panel>
  )
}
