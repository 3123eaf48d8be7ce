import { useState } from "preact/hooks"
import { isReportPage } from "../../../sections.ts"
import { useApp } from "../../state/app.ts"
import { useResource } from "../../state/resource.ts"
import { isSingleWebsite } from "../../state/session.ts"
import { copyText } from "../controls/copy.tsx"
import { Icon } from "../controls/icons.tsx"
import { Link } from "../controls/link.tsx"
import { Popover } from "../controls/popover.tsx"
import { AnnotationForm } from "./annotation-form.tsx"
import { type SavedView, SaveView } from "./save-view.tsx"
import { ShareView } from "./share-view.tsx"

type DialogName = "save" | "share" | "annotate"

/** The actions on the current view: copy its link, save it, share it, add an annotation. */
export function ViewMenu() {
  const { session, router, view, toasts, annotations } = useApp()
  const [dialog, setDialog] = useState<DialogName>()
  if (session.me.value?.share) return null
  const { website } = view.value
  // A share link can only show the reports of a single website, and no individual people.
  const isSharable = isReportPage(router.location.value.page) && isSingleWebsite(website)
  const open = (next: DialogName, closeMenu: () => void) => () => {
    closeMenu()
    setDialog(next)
  }
  const close = () => setDialog(undefined)
  return (
    <>
      <Popover
        label={
          <>
            <Icon name="star" /> <span class="label">Share &amp; save</span>
          </>
        }
        name="Share & save"
        align="end"
      >
        {(closeMenu) => (
          <div class="menu-box">
            <SavedViews website={view.value.website} onGo={closeMenu} />
            <ul class="menu">
              <li>
                <button
                  type="button"
                  onClick={async () => {
                    closeMenu()
                    // The URL includes the time zone so that everyone sees the same numbers.
                    const href = router.serverUrl + router.hrefWith({ tz: view.value.zone })
                    if (await copyText(href)) toasts.show("Link copied")
                    else toasts.show("Could not copy. Copy the URL from the address bar.", "failed")
                  }}
                >
                  Copy link
                </button>
              </li>
              {session.isOwner && (
                <>
                  <li>
                    <button type="button" onClick={open("save", closeMenu)}>
                      Save view…
                    </button>
                  </li>
                  <li>
                    <button type="button" onClick={open("annotate", closeMenu)}>
                      Add annotation…
                    </button>
                  </li>
                  {isSharable && (
                    <li>
                      <button type="button" onClick={open("share", closeMenu)}>
                        Create share link…
                      </button>
                    </li>
                  )}
                </>
              )}
            </ul>
          </div>
        )}
      </Popover>
      {dialog === "save" && <SaveView kind="view" onClose={close} />}
      {dialog === "annotate" && (
        <AnnotationForm
          website={website}
          websiteName={session.nameOf(website)}
          onClose={() => {
            close()
            annotations.version.value++
          }}
        />
      )}
      {dialog === "share" && <ShareView onClose={close} />}
    </>
  )
}

function SavedViews({ website, onGo }: { website: string; onGo: () => void }) {
  const { router, session } = useApp()
  const { data } = useResource<{ views: SavedView[] }>(
    session.canSeePeople ? `views?website_id=${encodeURIComponent(website)}&kind=view` : undefined,
  )
  if (!data || data.views.length === 0) return null
  return (
    <ul class="menu saved-views">
      {data.views.map(({ id, name, path }) => (
        <li key={id}>
          <Link href={`${router.location.value.base}/${path}`} onClick={onGo}>
            {name}
          </Link>
        </li>
      ))}
    </ul>
  )
}
