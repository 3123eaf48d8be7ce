import { useState } from "preact/hooks"
import { Confirm } from "../components/controls/dialog.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { AnnotationForm } from "../components/saved/annotation-form.tsx"
import { useApp } from "../state/app.ts"
import type { Note } from "../state/notes.ts"
import { useResource } from "../state/resource.ts"
import { List, Row } from "./list.tsx"
import { ListedWebsite, useListedWebsite } from "./of-website.tsx"
import { SettingsPage } from "./settings-page.tsx"

type Asked = { what: "write" } | { what: "edit" | "delete"; note: Note }

export function Notes() {
  const { api, session, toasts } = useApp()
  const format = useFormat()
  const website = useListedWebsite()
  const notes = useResource<{ notes: Note[] }>(`notes?website_id=${encodeURIComponent(website)}`)
  const [asked, setAsked] = useState<Asked>()
  const close = () => {
    setAsked(undefined)
    // Whatever came of it: somebody else may have changed them meanwhile.
    notes.again()
  }
  const write = (
    <button type="button" class="button primary" onClick={() => setAsked({ what: "write" })}>
      <Icon name="plus" /> Write a note
    </button>
  )
  const row = (note: Note) => (
    <Row
      key={note.id}
      title={note.text}
      badge={
        <>
          <span class="muted">{format.day(note.date)}</span>
          {note.websiteId === null && website !== "all" && <span class="badge">all websites</span>}
        </>
      }
      actions={
        <>
          <button
            type="button"
            class="button small"
            aria-label={`Edit ${note.text}`}
            onClick={() => setAsked({ what: "edit", note })}
          >
            Edit
          </button>
          <button
            type="button"
            class="button small"
            aria-label={`Delete ${note.text}`}
            onClick={() => setAsked({ what: "delete", note })}
          >
            Delete
          </button>
        </>
      }
    />
  )
  return (
    <SettingsPage name="notes" title="Notes" actions={write}>
      <Panel
        title="Notes on days"
        hint="Shown on the charts: a release, a campaign, an outage. Those of all websites stand on each one's."
        actions={<ListedWebsite website={website} />}
      >
        <List
          name="Notes"
          of={notes}
          empty={<Empty title="No notes">Write the first one above; it then stands on the charts.</Empty>}
          rows={(answer) => answer.notes.map(row)}
        />
      </Panel>
      {asked?.what === "write" && (
        <AnnotationForm website={website} about={session.nameOf(website)} onClose={close} />
      )}
      {asked?.what === "edit" && <AnnotationForm note={asked.note} website={website} onClose={close} />}
      {asked?.what === "delete" && (
        <Confirm
          title="Delete this note?"
          action="Delete"
          onClose={close}
          onConfirm={async () => {
            await api.send("DELETE", `notes/${encodeURIComponent(asked.note.id)}`)
            toasts.show("The note is deleted.")
          }}
        >
          <p>
            “{asked.note.text}”, {format.day(asked.note.date)}. It goes from the charts of everybody.
          </p>
        </Confirm>
      )}
    </SettingsPage>
  )
}
