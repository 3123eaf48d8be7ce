import { useState } from "preact/hooks"
import { ItemMenu } from "../components/controls/item-menu.tsx"
import { ShareView } from "../components/saved/share-view.tsx"
import { useApp } from "../state/app.ts"
import type { BoardSummary } from "../state/boards.ts"

interface BoardMenuProps {
  board: BoardSummary
  onRenamed: () => void
  onDeleted: () => void
}

/** Actions on a board: rename, share, delete. */
export function BoardMenu({ board, onRenamed, onDeleted }: BoardMenuProps) {
  const { api, toasts } = useApp()
  const [isSharing, setSharing] = useState(false)
  const { id, name, tiles, websiteId } = board
  const path = `boards/${encodeURIComponent(id)}`
  const deleted =
    tiles === 0
      ? "The board is empty."
      : `The board and its ${tiles === 1 ? "tile" : `${tiles} tiles`} will be deleted for all users.`
  // A share link shows one website or all websites, so a board for events without a website cannot be shared.
  const isSharable = websiteId !== "none"
  return (
    <>
      <ItemMenu
        name={name}
        actions={isSharable ? [{ label: "Share…", run: () => setSharing(true) }] : []}
        consequence={`${deleted} Its share links will stop working. No events will be deleted.`}
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
      {isSharing && <ShareView board={board} onClose={() => setSharing(false)} />}
    </>
  )
}
