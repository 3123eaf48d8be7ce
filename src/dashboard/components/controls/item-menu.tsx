import { useState } from "preact/hooks"
import { isolate } from "../../state/bidi.ts"
import { Confirm } from "./dialog.tsx"
import { type MenuAction, MoreMenu } from "./more-menu.tsx"
import { NameDialog } from "./name-dialog.tsx"

interface ItemMenuProps {
  name: string
  /** Whether to omit the button's border. */
  isQuiet?: boolean
  /** Additional actions, listed between rename and delete. */
  actions?: readonly MenuAction[]
  /** Label of the last action. */
  removal?: "Delete" | "Remove"
  /** What the removal does, in one or two sentences. */
  consequence: string
  onRename: (name: string) => Promise<void>
  onRemove: () => Promise<void>
  /** Called after a dialog closes, even if it is canceled. */
  onClose?: () => void
}

/** The menu of an item that users can name, with actions to rename and delete it. */
export function ItemMenu({
  name,
  isQuiet = false,
  actions = [],
  removal = "Delete",
  consequence,
  onRename,
  onRemove,
  onClose,
}: ItemMenuProps) {
  const [dialog, setDialog] = useState<"rename" | "remove">()
  const close = () => {
    setDialog(undefined)
    onClose?.()
  }
  return (
    <>
      <MoreMenu
        name={name}
        isQuiet={isQuiet}
        actions={[
          { label: "Rename…", run: () => setDialog("rename") },
          ...actions,
          { label: `${removal}…`, run: () => setDialog("remove") },
        ]}
      />
      {dialog === "rename" && (
        <NameDialog
          title={`Rename “${isolate(name)}”`}
          action="Rename"
          name={name}
          onClose={close}
          onSubmit={onRename}
        />
      )}
      {dialog === "remove" && (
        <Confirm
          title={`${removal} “${isolate(name)}”?`}
          action={removal}
          onClose={close}
          onConfirm={onRemove}
        >
          <p>{consequence}</p>
        </Confirm>
      )}
    </>
  )
}
