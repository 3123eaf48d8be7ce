import { useId, useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { isolate } from "../../state/bidi.ts"
import type { BoardSummary } from "../../state/boards.ts"
import { parseFilters, peopleFields } from "../../state/filters.ts"
import { addDays, endOfDay } from "../../state/range.ts"
import { Dialog } from "../controls/dialog.tsx"
import { parseStep } from "../controls/event-picker.tsx"
import { Expiry } from "../controls/expiry.tsx"
import { Form } from "../controls/form.tsx"
import { NameField } from "../controls/name-dialog.tsx"
import { pageLabel } from "../controls/navigation-menu.ts"
import { EmbedHostsField, hostsOf } from "./embed-hosts-field.tsx"
import { NewLink, type NewShare } from "./new-link.tsx"

/** Default lifetime of a link, in days. */
const defaultDays = 30

interface ShareViewProps {
  /** The board to share. If absent, the current view is shared. */
  board?: Pick<BoardSummary, "id" | "name" | "websiteId">
  onClose: () => void
}

/** Creates a share link to the current view or to a board, for people without an account. */
export function ShareView({ board, onClose }: ShareViewProps) {
  const { api, router, view, session } = useApp()
  const [name, setName] = useState(board?.name ?? "")
  const [isOnePage, setOnePage] = useState(false)
  const [hosts, setHosts] = useState("")
  const [created, setCreated] = useState<NewShare>()
  const { today } = view.value
  const website = board ? (board.websiteId ?? "all") : view.value.website
  const { page } = router.location.value
  const radioName = useId()
  const [expiresAt, setExpiresAt] = useState<string | null>(endOfDay(addDays(today, defaultDays)))
  if (!board && identifiesPeople(router.location.value.params)) {
    return (
      <Dialog title="Create share link" onClose={onClose} closeLabel="Close">
        <p>
          Share links cannot show individual visitors, profiles or sessions. First remove the filters and
          breakdowns that use their IDs.
        </p>
      </Dialog>
    )
  }
  if (created) return <NewLink created={created} onClose={onClose} />
  return (
    <Dialog title="Create share link" onClose={onClose}>
      <p class="muted">
        {board
          ? `Read-only. Always shows the latest version of the board “${isolate(board.name)}”, and nothing else. Tiles that use visitor, session or profile IDs are left out.`
          : `Read-only. Opens this view of ${session.nameOf(website)}, without individual visitors.`}
      </p>
      <Form
        action="Create link"
        onCancel={onClose}
        onSubmit={async () => {
          const path = board
            ? router.boardPath(board.id, { tz: view.value.zone })
            : router.viewPath({ tz: view.value.zone })
          const limit = board ? { boardId: board.id } : isOnePage ? { page } : {}
          const body = { name, path, ...limit, embedHosts: hostsOf(hosts), expiresAt }
          setCreated(
            await api.send<NewShare>("POST", `shares?website_id=${encodeURIComponent(website)}`, body),
          )
        }}
      >
        <NameField label="Name" value={name} onInput={setName} />
        {!board && (
          <fieldset class="choices">
            <legend>Access</legend>
            <label class="check">
              <input type="radio" name={radioName} checked={!isOnePage} onChange={() => setOnePage(false)} />
              All reports of {session.nameOf(website)}
            </label>
            <label class="check">
              <input type="radio" name={radioName} checked={isOnePage} onChange={() => setOnePage(true)} />
              Only the page {pageLabel(page)}
            </label>
          </fieldset>
        )}
        <EmbedHostsField value={hosts} onInput={setHosts} />
        <Expiry expiresAt={expiresAt} initialDays={defaultDays} onChange={setExpiresAt} />
      </Form>
    </Dialog>
  )
}

/** Returns true if a filter, a filter of a step, or a breakdown uses a field that identifies people. */
function identifiesPeople(params: URLSearchParams): boolean {
  const steps = [...params.values()].flatMap((value) => parseStep(value).filters)
  const fields = [...parseFilters(params), ...steps].map(({ field }) => field)
  return [...fields, ...params.getAll("split")].some((field) => peopleFields.includes(field))
}
