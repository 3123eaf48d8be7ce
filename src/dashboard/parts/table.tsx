import type { ComponentChildren } from "preact"
import { useEffect, useRef } from "preact/hooks"
import { csvText } from "../state/csv.ts"
import { Icon } from "./icons.tsx"

interface DataTableProps {
  /** What it holds, for those who do not see what stands around it. */
  name: string
  columns: readonly ComponentChildren[]
  rows: readonly (readonly ComponentChildren[])[]
  /** Columns of numbers, which are aligned at their end. */
  numeric?: readonly boolean[]
  /** For each row how long a bar is behind its first cell, 0 to 1. */
  bars?: readonly number[]
  keys?: readonly string[]
}

export function DataTable({ name, columns, rows, numeric = [], bars, keys }: DataTableProps) {
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    // A box that scrolls has to be reached by keys; one that does not is nothing to stop at.
    const element = box.current
    if (element) element.tabIndex = element.scrollWidth > element.clientWidth ? 0 : -1
  })
  return (
    <div class="table-box" ref={box}>
      <table class="table">
        <caption class="hidden">{name}</caption>
        <thead>
          <tr>
            {columns.map((column, index) => (
              <th key={index} scope="col" class={numeric[index] ? "number" : undefined}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={keys?.[at] ?? at}>
              {row.map((cell, index) => (
                <td
                  key={index}
                  class={numeric[index] ? "number" : index === 0 && bars ? "barred" : undefined}
                >
                  {index === 0 && bars && <Bar share={bars[at] ?? 0} />}
                  {index === 0 && bars ? <span class="barred-text">{cell}</span> : cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Bar({ share }: { share: number }) {
  return (
    <span class="bar" style={{ width: `${Math.max(0, Math.min(1, share)) * 100}%` }} aria-hidden="true" />
  )
}

interface DownloadProps {
  /** Without its ending. */
  file: string
  columns: readonly string[]
  rows: readonly (readonly unknown[])[]
}

/** What is shown, as a file for a spreadsheet. */
export function DownloadCsv({ file, columns, rows }: DownloadProps) {
  const download = () => {
    const url = URL.createObjectURL(new Blob([csvText(columns, rows)], { type: "text/csv;charset=utf-8" }))
    const link = document.createElement("a")
    link.href = url
    link.download = `${file}.csv`
    link.click()
    URL.revokeObjectURL(url)
  }
  return (
    <button
      type="button"
      class="button small quiet"
      aria-label={`Download ${file} as CSV`}
      disabled={rows.length === 0}
      onClick={download}
    >
      <Icon name="download" /> CSV
    </button>
  )
}
