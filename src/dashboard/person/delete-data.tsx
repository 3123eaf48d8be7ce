import { useState } from "preact/hooks"
import { Confirm, Dialog } from "../components/controls/dialog.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { sentence } from "../state/api.ts"
import { useApp } from "../state/app.ts"
import { maxAnonymousIds } from "../state/profiles.ts"
import { type PersonId, personParam } from "./person-id.ts"
import type { PersonSummary } from "./person-summary.tsx"

/** The response to POST /v1/websites/:id/forget. */
interface DeletionResult {
  events: number
  /** Number of events that existed only in the ClickHouse cluster. */
  removedEvents: number
  profiles: number
  links: number
  /** False if another process was using the database, so the file or its -wal file may still contain deleted data. */
  overwritten: boolean
  note: string | null
}

/** Lets owners export or delete all stored data about a person. */
export function ExportAndDelete({ person, summary }: { person: PersonId; summary: PersonSummary }) {
  const { router, session, view } = useApp()
  const [state, setState] = useState<"confirm" | DeletionResult>()
  const { website } = view.value
  if (!session.isOwner) return null
  if (website === "all" || website === "none") {
    return (
      <Panel title="Export and delete data">
        <p class="muted">
          {website === "all"
            ? "Select a single website to export or delete this person's data."
            : "Events without a website cannot be exported or deleted for a single person."}
        </p>
      </Panel>
    )
  }
  const params = new URLSearchParams({
    website_id: website,
    [person.kind === "visitor" ? "anonymous_id" : "profile_id"]: person.id,
  })
  return (
    <Panel title="Export and delete data">
      <p class="muted">
        Export or delete everything that {session.nameOf(website)} has on this {person.kind}, regardless of
        the selected range.
      </p>
      <div class="row person-rights">
        {/* A download cannot report that the login session has expired, so another request opens the login page in
            that case. */}
        <a
          class="button"
          href={router.hrefOf(`/v1/export?${params}`)}
          download
          onClick={() => void session.loadSites().catch(() => undefined)}
        >
          <Icon name="download" /> Export
        </a>
        <button type="button" class="button danger" onClick={() => setState("confirm")}>
          <Icon name="trash" /> Delete data…
        </button>
      </div>
      {state === "confirm" && (
        <ConfirmDeletion
          person={person}
          summary={summary}
          onClose={() => setState((current) => (current === "confirm" ? undefined : current))}
          onDeleted={setState}
        />
      )}
      {typeof state === "object" && <DeletionDone person={person} result={state} />}
    </Panel>
  )
}

interface ConfirmDeletionProps {
  person: PersonId
  summary: PersonSummary
  onClose: () => void
  onDeleted: (result: DeletionResult) => void
}

function ConfirmDeletion({ person, summary, onClose, onDeleted }: ConfirmDeletionProps) {
  const { api, session, view } = useApp()
  const { website } = view.value
  const deleteData = async () => {
    const path = `websites/${encodeURIComponent(website)}/forget`
    onDeleted(await api.send<DeletionResult>("POST", path, personParam(person)))
  }
  return (
    <Confirm
      title={`Delete all data about this ${person.kind}?`}
      action="Delete data"
      onConfirm={deleteData}
      onClose={onClose}
    >
      <p class="person-id">{person.id}</p>
      <p>This permanently deletes the following from {session.nameOf(website)}, regardless of the range:</p>
      {person.kind === "visitor" ? (
        <VisitorData summary={summary} />
      ) : (
        <ProfileData person={person} summary={summary} />
      )}
      <p>
        Existing backups will still contain this data. Deleting from millions of events takes a few seconds.
      </p>
    </Confirm>
  )
}

function VisitorData({ summary }: { summary: PersonSummary }) {
  const format = useFormat()
  return (
    <>
      <ul class="person-list">
        <li>{format.countOf(summary.events, "event")}, whichever profile they belong to</li>
        <li>the visitor's links to profiles</li>
      </ul>
      <p>Not deleted: the profiles, with their traits and other events.</p>
    </>
  )
}

function ProfileData({ person, summary }: { person: PersonId; summary: PersonSummary }) {
  const format = useFormat()
  const linked = summary.profiles.flatMap(({ anonymousIds }) => anonymousIds)
  const atLeast = linked.length >= maxAnonymousIds ? "at least " : ""
  return (
    <>
      <ul class="person-list">
        {summary.profiles.length > 0 && <li>the profile {person.id} and its traits</li>}
        <li>
          {format.countOf(summary.events, "event")}: events with this profile, and events without a profile
          from visitors that were linked to it with an API key
        </li>
        {linked.length > 0 && (
          <li>
            its links to {atLeast}
            {format.countOf(linked.length, "visitor")}
          </li>
        )}
      </ul>
      <p>
        Not deleted: its visitors' events with other profiles, and the events of visitors that were linked
        only by a page.
      </p>
    </>
  )
}

/** Shows how much was deleted, the server's note, and a warning if traces of deleted data might remain. */
function DeletionDone({ person, result }: { person: PersonId; result: DeletionResult }) {
  const { router } = useApp()
  const format = useFormat()
  const { events, removedEvents, profiles, links, overwritten, note } = result
  const leave = () => router.navigate(router.pageHref("people"))
  return (
    <Dialog title="Data deleted" onClose={leave} closeLabel="Go to people">
      <div class="prose">
        <p class="person-id">{person.id}</p>
        <p>
          Deleted: {format.countOf(events + removedEvents, "event")}, {format.countOf(profiles, "profile")}{" "}
          and {format.countOf(links, "link")}.
        </p>
        {note !== null && <p>{sentence(note)}</p>}
        {!overwritten && (
          <p>
            A long-running read blocked the last step, so traces of the deleted data might remain in the
            database file. Delete the person again to overwrite them.
          </p>
        )}
      </div>
    </Dialog>
  )
}
