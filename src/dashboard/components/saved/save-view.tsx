import { useApp } from "../../state/app.ts"
import { NameDialog } from "../controls/name-dialog.tsx"

/** A view that somebody kept, as the API shows it. */
export interface SavedView {
  id: string
  kind: string
  name: string
  /** Page and query behind the website. */
  path: string
}

/** What is saved, by its kind. */
const savedThings = {
  view: "this view",
  funnel: "this funnel",
  retention: "this table",
  paths: "these paths",
  goal: "this goal",
} as const

export type SavedKind = keyof typeof savedThings

interface SaveViewProps {
  kind: SavedKind
  /** Page and query; left out: what the address says. */
  path?: string
  onClose: () => void
  onSaved?: () => void
}

/** Keeps what is looked at under a name. */
export function SaveView({ kind, path, onClose, onSaved }: SaveViewProps) {
  const { api, place, view, toasts } = useApp()
  return (
    <NameDialog
      title={`Save ${savedThings[kind]}`}
      action="Save"
      onClose={onClose}
      onSubmit={async (name) => {
        const website = encodeURIComponent(view.value.website)
        await api.send("POST", `views?website_id=${website}`, { kind, name, path: path ?? place.viewWith() })
        toasts.show(`“${name}” is saved.`)
        onSaved?.()
      }}
    />
  )
}
