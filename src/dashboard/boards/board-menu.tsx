import { ItemMenu } from "../components/controls/item-menu.tsx"
import { useApp } from "../state/app.ts"
import type { BoardSummary } from "../state/boards.ts"

interface BoardMenuProps {
  board: BoardSummary
  onRenamed: () => void
  onDeleted: () => void
}

/** Actions on a board: rename, delete. */
export function BoardMenu({ board: { id, name, tiles }, onRenamed, onDeleted }: BoardMenuProps) {
  const { api, toasts } = useApp()
  const path = `boards/${encodeURIComponent(id)}`
  const deleted =
    tiles === 0
      ? "The board has no tiles."
      : `The board and its ${tiles === 1 ? "tile" : `${tiles} tiles`} are deleted for all users.`
  return (
    <ItemMenu
      name={name}
      consequence={`${deleted} Events are not deleted.`}
      onRename={async (to) => {
        await api.send("PATCH", path, { name: to })
        toasts.show(`Renamed to “${to}”`)
        onRenamed()
      }}
      onRemove={async () => {
        await api.send("DELETE", path)
        toasts.show(`“${name}” deleted`)
        onDeleted()
      }}
    />
  )
}
