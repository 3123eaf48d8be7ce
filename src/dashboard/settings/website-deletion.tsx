import { useEffect, useState } from "preact/hooks"
import { Dialog } from "../components/controls/dialog.tsx"
import { Form } from "../components/controls/form.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { useApp } from "../state/app.ts"
import { runParameter } from "../state/query-cache.ts"
import { allTimeBody } from "../state/range.ts"
import type { Website } from "./website-form.tsx"

interface WebsiteDeletionProps {
  website: Website
  onClose: () => void
  onDone: () => Promise<void>
}

/**
 * Shows what will be deleted, and asks the user to confirm by typing the domain, because deleted data can only be
 * restored from a backup.
 */
export function WebsiteDeletion({ website: { id, name, domain }, onClose, onDone }: WebsiteDeletionProps) {
  const { api, toasts, now } = useApp()
  const format = useFormat()
  const [typed, setTyped] = useState("")
  const [events, setEvents] = useState<number>()
  useEffect(() => {
    const controller = new AbortController()
    const parameter = { name: "events", measures: ["events"] }
    const body = { ...allTimeBody(now()), crawlers: true }
    runParameter<{ events: number }>(api, { website: id, parameter, body }, controller.signal).then(
      ({ rows }) => setEvents(rows[0]?.events ?? 0),
      // The dialog also works without the count.
      () => undefined,
    )
    return () => controller.abort()
  }, [api, id, now])
  return (
    <Dialog title={`Delete ${name}?`} onClose={onClose}>
      <p>
        This will delete the website,{" "}
        {events === undefined ? "all its events" : `its ${format.countOf(events, "event")}`}, and all of its
        profiles, annotations, saved views and share links. Only a backup can restore them.
      </p>
      <Form
        action="Delete website"
        isDanger
        isDisabled={typed.trim() !== domain}
        onCancel={onClose}
        onSubmit={async () => {
          await api.send("DELETE", `websites/${encodeURIComponent(id)}`)
          await onDone()
          toasts.show(`${name} deleted`)
          onClose()
        }}
      >
        <label class="field">
          <span>
            Type <code>{domain}</code> to confirm
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
