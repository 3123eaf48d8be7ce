import { CardMenu } from "../components/charts/card-menu.tsx"
import { DataTable } from "../components/charts/data-table.tsx"
import { CodeBlock } from "../components/controls/copy.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import type { Filter } from "../state/filters.ts"
import { useQuery } from "../state/use-query.ts"

const latestRows = 20

interface Occurrence {
  message: string | null
  stack: string | null
  path: string | null
  anonymous_id: string | null
  timestamp: string
  browser: string | null
  os: string | null
  device: string | null
  country: string | null
}

/** The latest errors, each with its visitor, and the most recent stack trace. */
export function Occurrences({ filters }: { filters: readonly Filter[] }) {
  const { router, now } = useApp()
  const format = useFormat()
  const query = useQuery([{ name: "recent_errors", id: "latest", limit: latestRows }], {
    filters: [...filters],
  })
  const rows = query.rows<Occurrence>("latest")
  const stack = rows.find((row) => row.stack !== null)?.stack
  return (
    <Panel
      title="Latest"
      actions={
        <CardMenu
          file="latest-errors"
          columns={["time", "page", "visitor", "browser", "system", "device", "country", "stack"]}
          rows={rows.map((row) => [
            row.timestamp,
            row.path,
            row.anonymous_id,
            row.browser,
            row.os,
            row.device,
            row.country,
            row.stack,
          ])}
        />
      }
    >
      <Loaded query={query} id="latest" height={420}>
        {() =>
          rows.length === 0 ? (
            <Empty title="No errors in this range" />
          ) : (
            <div class="error-latest">
              {stack && <CodeBlock name="Copy stack" code={stack} />}
              <DataTable
                name="Latest errors"
                columns={["Time", "Page", "Visitor", "Browser", "System", "Device", "Country"]}
                rows={rows.map((row) => [
                  <time key="time" class="nowrap" dateTime={row.timestamp}>
                    {format.moment(row.timestamp, now())}
                  </time>,
                  row.path,
                  row.anonymous_id === null ? (
                    <span key="visitor" class="muted">
                      No visitor
                    </span>
                  ) : (
                    <Link
                      key="visitor"
                      href={router.pageHref("person", { visitor: row.anonymous_id, error: row.timestamp })}
                    >
                      {row.anonymous_id}
                    </Link>
                  ),
                  row.browser,
                  row.os,
                  row.device,
                  row.country === null ? "" : format.country(row.country),
                ])}
              />
            </div>
          )
        }
      </Loaded>
    </Panel>
  )
}
