import { useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { type Resource, useResource } from "../../state/resource.ts"
import { Confirm } from "../controls/dialog.tsx"
import { Icon } from "../controls/icons.tsx"
import { Link } from "../controls/link.tsx"
import { NameDialog } from "../controls/name-dialog.tsx"
import { Popover } from "../controls/popover.tsx"
import { type SavedKind, type SavedView, SaveView } from "./save-view.tsx"

/** Saved ones that are shown before somebody asks for all. */
const shownFirst = 12

export type Saved = Resource<{ views: SavedView[] }>

/** What was saved of one kind for the website that is looked at. */
export function useSaved(kind: SavedKind): Saved {
  const { view, session } = useApp()
  return useResource<{ views: SavedView[] }>(
    // A share link shows none.
    session.me.value?.share
      ? undefined
      : `views?website_id=${encodeURIComponent(view.value.website)}&kind=${kind}`,
  )
}

interface SavedListProps {
  /** “Saved funnels” */
  title: string
  saved: Saved
  /** What is looked at, as `Place.question` writes it; undefined: nothing is chosen yet. */
  path: string | undefined
}

/** Saved ones to go to; their owner renames, replaces and deletes them. Nothing while there are none. */
export function SavedList({ title, saved, path }: SavedListProps) {
  const { place, session } = useApp()
  const [isAll, setAll] = useState(false)
  const views = saved.data?.views ?? []
  if (views.length === 0) return null
  const shown = isAll ? views : views.slice(0, shownFirst)
  return (
    <nav class="saved" aria-label={title}>
      <h2>{title}</h2>
      <ul>
        {shown.map((view) => (
          <li key={view.id} class={view.path === path ? "saved-one current" : "saved-one"}>
            <Link href={place.ofSaved(view.path)} isCurrent={view.path === path}>
              {view.name}
            </Link>
            {session.isOwner && <SavedMenu view={view} path={path} onChanged={saved.again} />}
          </li>
        ))}
      </ul>
      {views.length > shown.length && (
        <button type="button" class="button small quiet" onClick={() => setAll(true)}>
          All {views.length}
        </button>
      )}
    </nav>
  )
}

interface SaveButtonProps {
  kind: SavedKind
  saved: Saved
  path: string
}

/** Saves what is looked at; says so where it is saved already. Viewers have none. */
export function SaveButton({ kind, saved, path }: SaveButtonProps) {
  const { session } = useApp()
  const [isAsking, setAsking] = useState(false)
  if (!session.isOwner) return null
  const known = saved.data?.views.find((view) => view.path === path)
  if (known)
    return (
      <span class="muted saved-mark">
        <Icon name="check" /> Saved
      </span>
    )
  return (
    <>
      <button type="button" class="button small" onClick={() => setAsking(true)}>
        <Icon name="star" /> Save
      </button>
      {isAsking && (
        <SaveView kind={kind} path={path} onClose={() => setAsking(false)} onSaved={saved.again} />
      )}
    </>
  )
}

interface SavedMenuProps {
  view: SavedView
  path: string | undefined
  onChanged: () => void
}

/** What its owner does with a saved one. */
export function SavedMenu({ view, path, onChanged }: SavedMenuProps) {
  const { api, toasts } = useApp()
  const [asked, setAsked] = useState<"rename" | "replace" | "delete">()
  const { id, name } = view
  const address = `views/${encodeURIComponent(id)}`
  const close = () => {
    setAsked(undefined)
    // Whatever came of it: somebody else may have changed or deleted it meanwhile.
    onChanged()
  }
  const ask = (what: typeof asked, done: () => void) => () => {
    done()
    setAsked(what)
  }
  return (
    <>
      <Popover
        class="button quiet small icon-only"
        label={<Icon name="more" />}
        name={`Rename or delete ${name}`}
        align="end"
      >
        {(done) => (
          <ul class="menu">
            <li>
              <button type="button" onClick={ask("rename", done)}>
                Rename…
              </button>
            </li>
            {path !== undefined && path !== view.path && (
              <li>
                <button type="button" onClick={ask("replace", done)}>
                  Replace by what is shown…
                </button>
              </li>
            )}
            <li>
              <button type="button" onClick={ask("delete", done)}>
                Delete…
              </button>
            </li>
          </ul>
        )}
      </Popover>
      {asked === "rename" && (
        <NameDialog
          title={`Rename “${name}”`}
          action="Rename"
          name={name}
          onClose={close}
          onSubmit={async (to) => {
            await api.send("PATCH", address, { name: to })
            toasts.show(`It is called “${to}” now.`)
          }}
        />
      )}
      {asked === "replace" && (
        <Confirm
          title={`Replace “${name}”?`}
          action="Replace"
          onClose={close}
          onConfirm={async () => {
            await api.send("PATCH", address, { path })
            toasts.show(`“${name}” is what you see now.`)
          }}
        >
          <p>It keeps its name, and becomes what this page shows now.</p>
        </Confirm>
      )}
      {asked === "delete" && (
        <Confirm
          title={`Delete “${name}”?`}
          action="Delete"
          onClose={close}
          onConfirm={async () => {
            await api.send("DELETE", address)
            toasts.show(`“${name}” is deleted.`)
          }}
        >
          <p>It goes from everybody’s list. The events that it is about stay.</p>
        </Confirm>
      )}
    </>
  )
}
