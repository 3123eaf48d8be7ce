import { useState } from "preact/hooks"
import { useApp } from "../state/app.ts"
import { plusDays } from "../state/range.ts"
import { useResource } from "../state/resource.ts"
import { CodeBlock, copied } from "./copy.tsx"
import { Dialog } from "./dialog.tsx"
import { Form } from "./form.tsx"
import { Icon } from "./icons.tsx"
import { Link } from "./link.tsx"
import { sharedPages } from "./pages.ts"
import { Popover } from "./popover.tsx"

/** A view that somebody kept, as the API shows it. */
export interface SavedView {
  id: string
  kind: string
  name: string
  /** Page and query behind the website. */
  path: string
}

type Shown = "save" | "share" | "note"

/** What can be done with a view as a whole: take its address, keep it, show it to others, write a note on a date. */
export function ViewMenu() {
  const { session, place, view, toasts } = useApp()
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
      {shown === "note" && <WriteNote onClose={close} />}
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
  const [name, setName] = useState("")
  return (
    <Dialog title={`Save ${savedThings[kind]}`} onClose={onClose}>
      <Form
        action="Save"
        onCancel={onClose}
        onSubmit={async () => {
          const website = encodeURIComponent(view.value.website)
          await api.send("POST", `views?website_id=${website}`, {
            kind,
            name,
            path: path ?? place.viewWith(),
          })
          toasts.show(`“${name}” is saved.`)
          onSaved?.()
          onClose()
        }}
      >
        <label class="field">
          Name
          <input
            data-autofocus
            required
            maxLength={256}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
      </Form>
    </Dialog>
  )
}

function WriteNote({ onClose }: { onClose: () => void }) {
  const { api, view, toasts, session, notes } = useApp()
  const [date, setDate] = useState(view.value.today)
  const [text, setText] = useState("")
  return (
    <Dialog title="Write a note on a date" onClose={onClose}>
      <p class="muted">
        Shown on the charts of {session.nameOf(view.value.website)}: a release, a campaign, an outage.
      </p>
      <Form
        action="Keep the note"
        onCancel={onClose}
        onSubmit={async () => {
          await api.send("POST", `notes?website_id=${encodeURIComponent(view.value.website)}`, { date, text })
          notes.round.value++
          toasts.show("The note is on the charts.")
          onClose()
        }}
      >
        <label class="field">
          Date
          <input type="date" required value={date} onInput={(event) => setDate(event.currentTarget.value)} />
        </label>
        <label class="field">
          Note
          <input
            data-autofocus
            required
            maxLength={500}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
      </Form>
    </Dialog>
  )
}

/** Days that a link works, to choose from; '' for ever. */
const lifetimes = [
  { days: "7", label: "7 days" },
  { days: "30", label: "30 days" },
  { days: "90", label: "90 days" },
  { days: "365", label: "a year" },
  { days: "", label: "until it is revoked" },
]

function ShareView({ onClose }: { onClose: () => void }) {
  const { api, place, view, session } = useApp()
  const [name, setName] = useState("")
  const [days, setDays] = useState("30")
  const [link, setLink] = useState<string>()
  const { website, today } = view.value
  if (link !== undefined) {
    return (
      <Dialog title="Share by a link" onClose={onClose}>
        <p>
          Whoever has this link sees the reports of {session.nameOf(website)}, but no single visitors and no
          settings. It is shown this once; revoke it under Settings, Share links.
        </p>
        <CodeBlock code={link} name="Copy the link" />
        <div class="dialog-actions">
          <button type="button" class="button primary" onClick={onClose}>
            Done
          </button>
        </div>
      </Dialog>
    )
  }
  return (
    <Dialog title="Share by a link" onClose={onClose}>
      <p class="muted">
        For reading alone: it opens on this view, with the reports of {session.nameOf(website)}.
      </p>
      <Form
        action="Make the link"
        onCancel={onClose}
        onSubmit={async () => {
          const expiresAt = days === "" ? null : `${plusDays(today, Number(days))}T23:59:59Z`
          const path = place.viewWith({ tz: view.value.zone })
          const body = { name, path, expiresAt }
          const made = await api.send<{ link: string }>(
            "POST",
            `shares?website_id=${encodeURIComponent(website)}`,
            body,
          )
          setLink(place.origin + made.link)
        }}
      >
        <label class="field">
          Name, for the list of links
          <input
            data-autofocus
            required
            maxLength={256}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <label class="field">
          It works for
          <select value={days} onChange={(event) => setDays(event.currentTarget.value)}>
            {lifetimes.map((one) => (
              <option key={one.days} value={one.days}>
                {one.label}
              </option>
            ))}
          </select>
        </label>
      </Form>
    </Dialog>
  )
}
