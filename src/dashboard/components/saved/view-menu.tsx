import { useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { useResource } from "../../state/resource.ts"
import { copied } from "../controls/copy.tsx"
import { Icon } from "../controls/icons.tsx"
import { Link } from "../controls/link.tsx"
import { sharedPages } from "../controls/pages.ts"
import { Popover } from "../controls/popover.tsx"
import { AnnotationForm } from "./annotation-form.tsx"
import { type SavedView, SaveView } from "./save-view.tsx"
import { ShareView } from "./share-view.tsx"

type Shown = "save" | "share" | "note"

/** What can be done with a view as a whole: take its address, keep it, show it to others, write a note on a date. */
export function ViewMenu() {
  const { session, place, view, toasts, notes } = useApp()
  const [shown, setShown] = useState<Shown>()
  if (session.me.value?.share) return null
  const { website } = view.value
  // A link shows reports of one website, and no single people.
  const isSharable = sharedPages.has(place.spot.value.page) && website !== "all" && website !== "none"
  const ask = (what: Shown, close: () => void) => () => {
    close()
    setShown(what)
  }
  const close = () => setShown(undefined)
  return (
    <>
      <Popover
        label={
          <>
            <Icon name="star" /> <span>Views</span>
          </>
        }
        name="Saved views, share, notes"
        align="end"
      >
        {(done) => (
          <div class="menu-box">
            <SavedViews website={view.value.website} onGo={done} />
            <ul class="menu">
              <li>
                <button
                  type="button"
                  onClick={async () => {
                    done()
                    // An address that says the zone shows the same to everybody.
                    const { href } = new URL(place.with({ tz: view.value.zone }), place.origin)
                    if (await copied(href)) toasts.show("The address of this view is copied.")
                    else
                      toasts.show("This browser does not let pages copy: take the address bar's.", "failed")
                  }}
                >
                  Copy the address
                </button>
              </li>
              {session.isOwner && (
                <>
                  <li>
                    <button type="button" onClick={ask("save", done)}>
                      Save this view…
                    </button>
                  </li>
                  <li>
                    <button type="button" onClick={ask("note", done)}>
                      Write a note on a date…
                    </button>
                  </li>
                  {isSharable && (
                    <li>
                      <button type="button" onClick={ask("share", done)}>
                        Share by a link…
                      </button>
                    </li>
                  )}
                </>
              )}
            </ul>
          </div>
        )}
      </Popover>
      {shown === "save" && <SaveView kind="view" onClose={close} />}
      {shown === "note" && (
        <AnnotationForm
          website={website}
          about={session.nameOf(website)}
          onClose={() => {
            close()
            notes.round.value++
          }}
        />
      )}
      {shown === "share" && <ShareView onClose={close} />}
    </>
  )
}

function SavedViews({ website, onGo }: { website: string; onGo: () => void }) {
  const { place } = useApp()
  const { data } = useResource<{ views: SavedView[] }>(
    `views?website_id=${encodeURIComponent(website)}&kind=view`,
  )
  if (!data || data.views.length === 0) return null
  return (
    <ul class="menu saved-views">
      {data.views.map(({ id, name, path }) => (
        <li key={id}>
          <Link href={`${place.spot.value.base}/${path}`} onClick={onGo}>
            {name}
          </Link>
        </li>
      ))}
    </ul>
  )
}
