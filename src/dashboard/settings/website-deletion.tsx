import { useEffect, useState } from "preact/hooks"
import { Dialog } from "../components/controls/dialog.tsx"
import { Form } from "../components/controls/form.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { useApp } from "../state/app.ts"
import type { Website } from "./website-form.tsx"

/** All that there can be. */
const always = { startDate: "2000-01-01", endDate: "2199-12-31" }

interface WebsiteDeletionProps {
  website: Website
  onClose: () => void
  onDone: () => Promise<void>
}

/** Asks with what goes, and for the domain: nothing brings it back but a backup. */
export function WebsiteDeletion({ website: { id, name, domain }, onClose, onDone }: WebsiteDeletionProps) {
  const { api, toasts } = useApp()
  const format = useFormat()
  const [typed, setTyped] = useState("")
  const [events, setEvents] = useState<number>()
  useEffect(() => {
    const stop = new AbortController()
    const body = { parameters: [{ name: "events", measures: ["events"] }], ...always, crawlers: true }
    api
      .send<{ data: { data: { events: number }[] }[] }>(
        "POST",
        `query?website_id=${encodeURIComponent(id)}`,
        body,
        stop.signal,
      )
      .then(
        ({ data }) => setEvents(data[0]?.data[0]?.events ?? 0),
        // The question can be answered without the number.
        () => undefined,
      )
    return () => stop.abort()
  }, [api, id])
  return (
    <Dialog title={`Delete ${name}?`} onClose={onClose}>
      <p>
        The website goes with{" "}
        {events === undefined
          ? "all of its events"
          : events === 1
            ? "its 1 event"
            : `its ${format.count(events)} events`}
        , its visitors' profiles, notes, saved views and share links. Nothing but a backup brings them back.
      </p>
      <Form
        action="Delete the website"
        isDanger
        isDisabled={typed.trim() !== domain}
        onCancel={onClose}
        onSubmit={async () => {
          await api.send("DELETE", `websites/${encodeURIComponent(id)}`)
          await onDone()
          toasts.show(`${name} is deleted.`)
          onClose()
        }}
      >
        <label class="field">
          <span>
            Type <code>{domain}</code> to say that you mean it
          </span>
          <input
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        </label>
      </Form>
    </Dialog>
  )
}
