import { csvText } from "../../state/csv.ts"
import { useAction } from "../../state/use-action.ts"
import { type MenuAction, MoreMenu } from "../controls/more-menu.tsx"

type CsvRows = readonly (readonly unknown[])[]

interface CardMenuProps {
  /** File name of the download, without extension; also part of the menu's accessible name. */
  file: string
  columns: readonly string[]
  /** The rows, or a function that fetches all of them if the page shows only some. */
  rows: CsvRows | (() => Promise<CsvRows>)
  /** Additional actions, listed first. */
  actions?: readonly MenuAction[]
}

/** The menu of a card: downloads its rows as CSV and offers additional actions. */
export function CardMenu({ file, columns, rows, actions = [] }: CardMenuProps) {
  const { run } = useAction(async () =>
    save(`${file}.csv`, csvText(columns, typeof rows === "function" ? await rows() : rows)),
  )
  const isDisabled = typeof rows !== "function" && rows.length === 0
  return (
    <MoreMenu
      name={file}
      isQuiet
      actions={[...actions, { label: "Download CSV", icon: "download", isDisabled, run }]}
    />
  )
}

/** Returns the action that switches between a chart and a table of its values. */
export function tableAction(isTable: boolean, setTable: (isTable: boolean) => void): MenuAction {
  return {
    label: isTable ? "Show as chart" : "Show as table",
    icon: isTable ? "overview" : "table",
    run: () => setTable(!isTable),
  }
}

function save(name: string, csv: string): void {
  const url = URL.createObjectURL(new Blob([csv], { type: "text/csv;charset=utf-8" }))
  const link = document.createElement("a")
  link.href = url
  link.download = name
  link.click()
  URL.revokeObjectURL(url)
}
