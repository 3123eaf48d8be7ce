import { useApp } from "../../state/app.ts"
import { NameDialog } from "../controls/name-dialog.tsx"

/** A saved view or report, as returned by the API. */
export interface SavedView {
  id: string
  kind: string
  name: string
  /** Page and query string, without the website. */
  path: string
}

/** What each kind is called in a sentence. */
const kindNames = {
  view: "view",
  funnel: "funnel",
  retention: "retention report",
  paths: "paths report",
  goal: "goal",
} as const

export type SavedKind = keyof typeof kindNames

interface SaveViewProps {
  kind: SavedKind
  /** Page and query string. Default: the path of the current view. */
  path?: string
  onClose: () => void
  onSaved?: () => void
}

/** Saves the current view or report under a name. */
export function SaveView({ kind, path, onClose, onSaved }: SaveViewProps) {
  const { api, router, view, toasts } = useApp()
  return (
    <NameDialog
      title={`Save ${kindNames[kind]}`}
      action="Save"
      onClose={onClose}
      onSubmit={async (name) => {
        const website = encodeURIComponent(view.value.website)
        await api.send("POST", `views?website_id=${website}`, { kind, name, path: path ?? router.viewPath() })
        toasts.show(`“${name}” saved`)
        onSaved?.()
      }}
    />
  )
}
