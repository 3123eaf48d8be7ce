import { CardMenu } from "../components/charts/card-menu.tsx"
import { DataTable } from "../components/charts/data-table.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Value } from "../components/controls/value.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import type { Filter } from "../state/filters.ts"
import { useQuery } from "../state/use-query.ts"

const topRows = 10

/** The pages with the most errors. */
export function ErrorPages({ filters }: { filters: readonly Filter[] }) {
  const format = useFormat()
  const query = useQuery([{ name: "errors_by_page", id: "pages", limit: topRows }], { filters: [...filters] })
  const rows = query.rows<{ name: string | null; errors: number; users: number }>("pages")
  const max = Math.max(...rows.map((row) => row.errors), 1)
  return (
    <Panel
      title="Pages"
      actions={
        <CardMenu
          file="errors-by-page"
          columns={["page", "errors", "visitors"]}
          rows={rows.map((row) => [row.name, row.errors, row.users])}
        />
      }
    >
      <Loaded query={query} id="pages" height={240}>
        {() =>
          rows.length === 0 ? (
            <Empty title="No errors in this range" />
          ) : (
            <DataTable
              name="Pages with errors"
              columns={["Page", "Errors", "Visitors"]}
              numeric={[false, true, true]}
              bars={rows.map((row) => row.errors / max)}
              keys={rows.map((row) => row.name ?? "")}
              rows={rows.map((row) => [
                <Value key="page" field="path" value={row.name} />,
                format.count(row.errors),
                format.count(row.users),
              ])}
            />
          )
        }
      </Loaded>
    </Panel>
  )
}
