import type { ComponentChildren } from "preact"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { useApp } from "../state/app.ts"
import { calledName, mostLinked, type Profile } from "../state/profiles.ts"
import { everything } from "../state/range.ts"
import { useResource } from "../state/resource.ts"
import { type Answered, useQuery } from "../state/use-query.ts"
import { type PersonId, whose, withCrawlers } from "./person-id.ts"

/** Others that are listed: a device of two people is usual, one of fifty is none of anybody. */
const shownOthers = 50
/** Profiles that a search for an anonymous id may find by parts of other ids. */
const foundProfiles = 100

/** px of what is known of them, and of what is told where that is nothing. */
const expected = [146, 21]

/** Characters of a trait that are shown at once. */
const shownCharacters = 200

interface Ever {
  events: number
  sessions: number
  first: number | string | null
  last: number | string | null
}

/** What there is of a person, of all times. */
export interface PersonSummary {
  answered: Answered
  events: number
  sessions: number
  /** ISO 8601; undefined: no event is known. */
  firstSeen: string | undefined
  lastSeen: string | undefined
  /** Profiles that are known: of a profile itself, of a visitor those that it was seen to be. */
  profiles: readonly Profile[]
  /** Ids of the other kind that the events name, with how many of them. */
  others: readonly { id: string; events: number }[]
}

export function usePersonSummary(who: PersonId): PersonSummary {
  const { view } = useApp()
  const { website, today } = view.value
  const other = who.kind === "visitor" ? "profile_id" : "anonymous_id"
  const answered = useQuery(
    [
      { name: "events", id: "ever", ...whose(who), measures: ["events", "sessions", "first", "last"] },
      {
        name: "events",
        id: "others",
        ...whose(who),
        by: [other],
        measures: ["events"],
        filters: [{ field: other, op: "exists", value: true }],
        limit: shownOthers,
      },
    ],
    { range: everything(today), body: withCrawlers },
  )
  const isOne = website !== "all" && website !== "none"
  const query = new URLSearchParams({ website_id: website })
  const found = useResource<{ profile?: Profile; profiles?: Profile[] }>(
    !isOne
      ? undefined
      : who.kind === "profile"
        ? `profiles/${encodeURIComponent(who.id)}?${query}`
        : `profiles?${query}&${new URLSearchParams({ search: who.id, limit: String(foundProfiles) })}`,
  )
  const { profile, profiles = [] } = found.data ?? {}
  const [ever] = answered.rows<Ever>("ever")
  return {
    answered,
    events: ever?.events ?? 0,
    sessions: ever?.sessions ?? 0,
    firstSeen: isoOf(ever?.first),
    lastSeen: isoOf(ever?.last),
    profiles: profile ? [profile] : profiles.filter(({ anonymousIds }) => anonymousIds.includes(who.id)),
    others: answered
      .rows<Record<string, string> & { events: number }>("others")
      .map((row) => ({ id: row[other] ?? "", events: row.events })),
  }
}

/** The API gives ISO 8601, or Unix ms. */
function isoOf(time: number | string | null | undefined): string | undefined {
  return time === null || time === undefined ? undefined : new Date(time).toISOString()
}

export function PersonIdentity({ who, whole }: { who: PersonId; whole: PersonSummary }) {
  return (
    <Panel
      title={who.kind === "visitor" ? "Visitor" : "Profile"}
      class="person-who"
      hint="Of all times, whatever range is looked at."
    >
      <Loaded answered={whole.answered} of="ever" height={expected}>
        {() => (
          <div class="columns">
            <Facts who={who} whole={whole} />
            <Traits who={who} whole={whole} />
          </div>
        )}
      </Loaded>
    </Panel>
  )
}

/** A long one is opened where somebody wants it. */
function Value({ text }: { text: string }) {
  return text.length <= shownCharacters ? (
    text
  ) : (
    <details>
      <summary>{text.slice(0, shownCharacters)}…</summary>
      {text}
    </details>
  )
}

function Facts({ who, whole }: { who: PersonId; whole: PersonSummary }) {
  const { now } = useApp()
  const format = useFormat()
  const seen = (iso: string | undefined) =>
    iso === undefined ? "Never" : `${format.time(iso)}, ${format.ago(iso, now())}`
  return (
    <dl class="person-facts">
      <Fact name="Id">{who.id}</Fact>
      <Fact name="First seen">{seen(whole.firstSeen)}</Fact>
      <Fact name="Last seen">{seen(whole.lastSeen)}</Fact>
      <Fact name="Events">{format.count(whole.events)}</Fact>
      <Fact name="Sessions">{format.count(whole.sessions)}</Fact>
      <Fact name={who.kind === "visitor" ? "Profiles" : "Visitors"}>
        <Others who={who} whole={whole} />
      </Fact>
    </dl>
  )
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

/** Of a visitor the profiles that it was seen to be, of a profile its visitors: by their events, or by what /identify was told. */
function Others({ who, whole }: { who: PersonId; whole: PersonSummary }) {
  const { place } = useApp()
  const format = useFormat()
  const kind = who.kind === "visitor" ? "profile" : "visitor"
  const told =
    who.kind === "visitor"
      ? whole.profiles.map(({ profileId }) => profileId)
      : whole.profiles.flatMap(({ anonymousIds }) => anonymousIds)
  const counts = new Map(whole.others.map(({ id, events }) => [id, events]))
  const ids = [...new Set([...counts.keys(), ...told])]
  if (ids.length === 0) return <span class="muted">None is known</span>
  const isCut = counts.size >= shownOthers || told.length >= mostLinked
  return (
    <ul class="in-text">
      {ids.map((id) => {
        const profile = whole.profiles.find(({ profileId }) => profileId === id)
        const events = counts.get(id) ?? 0
        return (
          <li key={id}>
            <Link href={place.to("person", { [kind]: id })}>
              {kind === "profile" && profile ? calledName(profile) : id}
            </Link>{" "}
            <span class="muted">
              {events === 0 ? "no events" : `${format.count(events)} ${events === 1 ? "event" : "events"}`}
            </span>
          </li>
        )
      })}
      {isCut && <li class="muted">There may be more.</li>}
    </ul>
  )
}

/** What /identify told. */
function Traits({ who, whole }: { who: PersonId; whole: PersonSummary }) {
  const { view, now } = useApp()
  const format = useFormat()
  const { website } = view.value
  if (website === "all") return <p class="muted">Traits belong to a website: choose one to see them.</p>
  if (website === "none") return <p class="muted">Traits belong to websites, and these events to none.</p>
  if (whole.profiles.length === 0) {
    return <p class="muted">Nobody has told who this is: POST /identify keeps traits such as a name.</p>
  }
  return (
    <>
      {whole.profiles.map(({ profileId, traits, updatedAt }) => (
        <div key={profileId}>
          <h3>{who.kind === "visitor" ? `Traits of ${profileId}` : "Traits"}</h3>
          <dl class="person-facts person-traits">
            {Object.entries(traits).map(([key, value]) => (
              <Fact key={key} name={key}>
                <Value text={String(value)} />
              </Fact>
            ))}
          </dl>
          <p class="muted">Updated {format.ago(updatedAt, now())}.</p>
        </div>
      ))}
    </>
  )
}
