import { useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { isolate } from "../../state/bidi.ts"
import { type Resource, useResource } from "../../state/resource.ts"
import { Confirm } from "../controls/dialog.tsx"
import { Icon } from "../controls/icons.tsx"
import { ItemMenu } from "../controls/item-menu.tsx"
import { Link } from "../controls/link.tsx"
import { type SavedKind, type SavedView, SaveView } from "./save-view.tsx"

/** Number of entries to show before "Show all" is clicked. */
const initialCount = 12

export type SavedResource = Resource<{ views: SavedView[] }>

/** The current website's saved views of one kind. */
export function useSavedViews(kind: SavedKind): SavedResource {
  const { view, session } = useApp()
  return useResource<{ views: SavedView[] }>(
    // Users who cannot see people cannot load saved views, because the path of a saved view can contain a person's ID.
    session.canSeePeople
      ? `views?website_id=${encodeURIComponent(view.value.website)}&kind=${kind}`
      : undefined,
  )
}

interface SavedListProps {
  /** For example “Saved funnels”. */
  title: string
  saved: SavedResource
  /** The path of the current report (see `Router.reportPath`); undefined if nothing is selected yet. */
  path: string | undefined
}

/** Links to saved reports, which owners can rename, replace and delete. Renders nothing if there are none. */
export function SavedList({ title, saved, path }: SavedListProps) {
  const { router, session } = useApp()
  const [isAll, setAll] = useState(false)
  const views = saved.data?.views ?? []
  if (views.length === 0) return null
  const shown = isAll ? views : views.slice(0, initialCount)
  return (
    <nav class="saved" aria-label={title}>
      <h2>{title}</h2>
      <ul>
        {shown.map((view) => (
          <li key={view.id} class={view.path === path ? "saved-item current" : "saved-item"}>
            <Link href={router.savedHref(view.path)} isCurrent={view.path === path}>
              {view.name}
            </Link>
            {session.isOwner && <SavedMenu view={view} path={path} onChanged={saved.refetch} />}
          </li>
        ))}
      </ul>
      {views.length > shown.length && (
        <button type="button" class="button small quiet" onClick={() => setAll(true)}>
          Show all {views.length}
        </button>
      )}
    </nav>
  )
}

interface SaveButtonProps {
  kind: SavedKind
  saved: SavedResource
  path: string
}

/** Saves the current report, or shows that it is already saved. Shown only to owners. */
export function SaveButton({ kind, saved, path }: SaveButtonProps) {
  const { session } = useApp()
  const [isOpen, setOpen] = useState(false)
  if (!session.isOwner) return null
  const isSaved = saved.data?.views.some((view) => view.path === path)
  if (isSaved)
    return (
      <span class="muted saved-mark">
        <Icon name="check" /> Saved
      </span>
    )
  return (
    <>
      <button type="button" class="button small" onClick={() => setOpen(true)}>
        <Icon name="star" /> Save
      </button>
      {isOpen && <SaveView kind={kind} path={path} onClose={() => setOpen(false)} onSaved={saved.refetch} />}
    </>
  )
}

interface SavedMenuProps {
  view: SavedView
  path: string | undefined
  onChanged: () => void
}

/** The actions on a saved view or report: rename, replace, delete. */
export function SavedMenu({ view, path, onChanged }: SavedMenuProps) {
  const { api, toasts } = useApp()
  const [isReplacing, setReplacing] = useState(false)
  const { id, name } = view
  const apiPath = `views/${encodeURIComponent(id)}`
  const isReplaceable = path !== undefined && path !== view.path
  return (
    <>
      <ItemMenu
        name={name}
        isQuiet
        actions={isReplaceable ? [{ label: "Replace with current…", run: () => setReplacing(true) }] : []}
        consequence="It will be removed for all users. No events will be deleted."
        // Called even if the user cancels, because another user might have changed or deleted the view in the meantime.
        onClose={onChanged}
        onRename={async (to) => {
          await api.send("PATCH", apiPath, { name: to })
          toasts.show(`Renamed to “${to}”`)
        }}
        onRemove={async () => {
          await api.send("DELETE", apiPath)
          toasts.show(`“${name}” deleted`)
        }}
      />
      {isReplacing && (
        <Confirm
          title={`Replace “${isolate(name)}”?`}
          action="Replace"
          onClose={() => {
            setReplacing(false)
            onChanged()
          }}
          onConfirm={async () => {
            await api.send("PATCH", apiPath, { path })
            toasts.show(`“${name}” updated`)
          }}
        >
          <p>It will keep its name and open what this page currently shows.</p>
        </Confirm>
      )}
    </>
  )
}
