import { useState } from "preact/hooks"
import { Confirm } from "../components/controls/dialog.tsx"
import { MoreMenu } from "../components/controls/more-menu.tsx"
import { NameDialog } from "../components/controls/name-dialog.tsx"
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
  const [dialog, setDialog] = useState<"rename" | "delete">()
  const path = `boards/${encodeURIComponent(id)}`
  const close = () => setDialog(undefined)
  return (
    <>
      <MoreMenu
        name={name}
        actions={[
          { label: "Rename…", run: () => setDialog("rename") },
          { label: "Delete…", run: () => setDialog("delete") },
        ]}
      />
      {dialog === "rename" && (
        <NameDialog
          title={`Rename “${name}”`}
          action="Rename"
          name={name}
          onClose={close}
          onSubmit={async (to) => {
            await api.send("PATCH", path, { name: to })
            toasts.show(`Renamed to “${to}”`)
            onRenamed()
          }}
        />
      )}
      {dialog === "delete" && (
        <Confirm
          title={`Delete “${name}”?`}
          action="Delete"
          onClose={close}
          onConfirm={async () => {
            await api.send("DELETE", path)
            toasts.show(`“${name}” deleted`)
            onDeleted()
          }}
        >
          <p>
            {tiles === 0
              ? "The board has no tiles."
              : `The board and its ${tiles === 1 ? "tile" : `${tiles} tiles`} are deleted for all users.`}{" "}
            Events are not deleted.
          </p>
        </Confirm>
      )}
    </>
  )
}
