import { useState } from "preact/hooks"
import { Confirm, Dialog } from "../components/controls/dialog.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { sentence } from "../state/api.ts"
import { useApp } from "../state/app.ts"
import { mostLinked } from "../state/profiles.ts"
import type { PersonId } from "./person-id.ts"
import type { PersonSummary } from "./person-summary.tsx"

/** What POST /v1/websites/:id/forget answers. */
interface Forgotten {
  events: number
  profiles: number
  links: number
  /** false: a reader held the log, and what was deleted may still stand in it. */
  overwritten: boolean
  note: string | null
}

/** For the owner: all that is stored of one person, as a file, or gone. */
export function ExportAndDelete({ who, whole }: { who: PersonId; whole: PersonSummary }) {
  const { session, view } = useApp()
  const [shown, setShown] = useState<"question" | Forgotten>()
  const { website } = view.value
  if (!session.isOwner) return null
  if (website === "all" || website === "none") {
    return (
      <Panel title="Export and forget">
        <p class="muted">
          {website === "all"
            ? "A person is exported and forgotten for one website: choose it first."
            : "A person is exported and forgotten for a website, and these events belong to none."}
        </p>
      </Panel>
    )
  }
  const query = new URLSearchParams({
    website_id: website,
    [who.kind === "visitor" ? "anonymous_id" : "profile_id"]: who.id,
  })
  return (
    <Panel title="Export and forget">
      <p class="muted">
        The export is a file of all that {session.nameOf(website)} has of this {who.kind}, whatever range is
        looked at: the same that forgetting deletes.
      </p>
      <div class="row person-rights">
        {/* A download says nothing of a login that has ended; what is asked beside it leads to a new one. */}
        <a
          class="button"
          href={`/v1/export?${query}`}
          download
          onClick={() => void session.loadSites().catch(() => undefined)}
        >
          <Icon name="download" /> Export
        </a>
        <button type="button" class="button danger" onClick={() => setShown("question")}>
          <Icon name="trash" /> Forget…
        </button>
      </div>
      {shown === "question" && (
        <Question
          who={who}
          whole={whole}
          onClose={() => setShown((now) => (now === "question" ? undefined : now))}
          onForgotten={setShown}
        />
      )}
      {typeof shown === "object" && <Done who={who} forgotten={shown} />}
    </Panel>
  )
}

interface QuestionProps {
  who: PersonId
  whole: PersonSummary
  onClose: () => void
  onForgotten: (forgotten: Forgotten) => void
}

function Question({ who, whole, onClose, onForgotten }: QuestionProps) {
  const { api, session, view } = useApp()
  const { website } = view.value
  const forget = async () => {
    const body = who.kind === "visitor" ? { anonymousId: who.id } : { profileId: who.id }
    onForgotten(await api.send<Forgotten>("POST", `websites/${encodeURIComponent(website)}/forget`, body))
  }
  return (
    <Confirm title={`Forget this ${who.kind}?`} action="Forget" onConfirm={forget} onClose={onClose}>
      <p class="person-id">{who.id}</p>
      <p>This is deleted from {session.nameOf(website)} for good, of all times:</p>
      {who.kind === "visitor" ? <OfVisitor whole={whole} /> : <OfProfile who={who} whole={whole} />}
      <p>
        Backups from before still hold the person. Where there are millions of events, it takes some seconds.
      </p>
    </Confirm>
  )
}

function OfVisitor({ whole }: { whole: PersonSummary }) {
  const format = useFormat()
  return (
    <>
      <ul class="person-list">
        <li>{counted(whole.events, "event", format.count(whole.events))}, whatever profile they name</li>
        <li>what links the visitor to profiles</li>
      </ul>
      <p>What stays: the profiles themselves, with their traits and their other events.</p>
    </>
  )
}

function OfProfile({ who, whole }: { who: PersonId; whole: PersonSummary }) {
  const format = useFormat()
  const linked = whole.profiles.flatMap(({ anonymousIds }) => anonymousIds)
  const atLeast = linked.length >= mostLinked ? "at least " : ""
  return (
    <>
      <ul class="person-list">
        {whole.profiles.length > 0 && <li>the profile {who.id} with its traits</li>}
        <li>
          {counted(whole.events, "event", format.count(whole.events))} that name it, or name no profile and
          come from its visitors
        </li>
        {linked.length > 0 && (
          <li>
            what links it to {atLeast}
            {counted(linked.length, "visitor", format.count(linked.length))}
          </li>
        )}
      </ul>
      <p>What stays: events of the same devices that name another profile.</p>
    </>
  )
}

function counted(count: number, what: string, text: string): string {
  return `${text} ${count === 1 ? what : `${what}s`}`
}

/** What is gone, and what the server has to say of it. */
function Done({ who, forgotten }: { who: PersonId; forgotten: Forgotten }) {
  const { place } = useApp()
  const format = useFormat()
  const { events, profiles, links, overwritten, note } = forgotten
  const leave = () => place.go(place.to("people"))
  return (
    <Dialog title="Forgotten" onClose={leave} closing="To the people">
      <div class="prose">
        <p class="person-id">{who.id}</p>
        <p>
          Deleted: {counted(events, "event", format.count(events))},{" "}
          {counted(profiles, "profile", format.count(profiles))} and{" "}
          {counted(links, "link", format.count(links))}.
        </p>
        {note !== null && <p>{sentence(note)}</p>}
        {!overwritten && (
          <p>
            Something was reading the database all the time, so that what was deleted may still stand in its
            write-ahead log. It goes when that reader ends, at the latest with a restart.
          </p>
        )}
      </div>
    </Dialog>
  )
}
