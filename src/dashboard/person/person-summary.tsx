import type { ComponentChildren } from "preact"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { useApp } from "../state/app.ts"
import { displayName, maxAnonymousIds, type Profile } from "../state/profiles.ts"
import { allTime } from "../state/range.ts"
import { useResource } from "../state/resource.ts"
import { isSingleWebsite } from "../state/session.ts"
import { type QueryState, useQuery } from "../state/use-query.ts"
import { type PersonId, personParam, withCrawlers } from "./person-id.ts"

/**
 * Maximum number of linked IDs to list. A few people may share a device, but a longer list of IDs would say little
 * about any one of them.
 */
const maxOtherIds = 50
/**
 * Maximum number of profiles to load for a visitor. They can include profiles of other visitors, because the search
 * also finds IDs that merely contain the visitor's ID.
 */
const maxProfiles = 100

/** Height in px of the two columns: the facts, and the text shown for a person without traits. */
const columnHeights = [146, 21]

/** Number of characters to show of a long trait until it is expanded. */
const shownCharacters = 200

interface AllTimeRow {
  events: number
  sessions: number
  first: number | string | null
  last: number | string | null
}

/** What is stored about a person, regardless of the range. */
export interface PersonSummary {
  query: QueryState
  events: number
  sessions: number
  /** ISO 8601; undefined if there are no events. */
  firstSeen: string | undefined
  lastSeen: string | undefined
  /** For a profile: the profile itself, if it has been identified. For a visitor: the linked profiles. */
  profiles: readonly Profile[]
  /**
   * The profile IDs in a visitor's events, or the anonymous IDs in a profile's events, each with its number of events.
   */
  linkedIds: readonly { id: string; events: number }[]
}

/** Loads the person's totals, linked IDs and profiles, regardless of the range. */
export function usePersonSummary(person: PersonId): PersonSummary {
  const { view } = useApp()
  const { website, today } = view.value
  const otherField = person.kind === "visitor" ? "profile_id" : "anonymous_id"
  const query = useQuery(
    [
      {
        name: "events",
        id: "all_time",
        ...personParam(person),
        measures: ["events", "sessions", "first", "last"],
      },
      {
        name: "events",
        id: "linked_ids",
        ...personParam(person),
        by: [otherField],
        measures: ["events"],
        filters: [{ field: otherField, op: "exists", value: true }],
        limit: maxOtherIds,
      },
    ],
    { range: allTime(today), body: withCrawlers },
  )
  const params = new URLSearchParams({ website_id: website })
  const profileResource = useResource<{ profile?: Profile; profiles?: Profile[] }>(
    !isSingleWebsite(website)
      ? undefined
      : person.kind === "profile"
        ? `profiles/${encodeURIComponent(person.id)}?${params}`
        : `profiles?${params}&${new URLSearchParams({ search: person.id, limit: String(maxProfiles) })}`,
  )
  const { profile, profiles = [] } = profileResource.data ?? {}
  const [row] = query.rows<AllTimeRow>("all_time")
  return {
    query,
    events: row?.events ?? 0,
    sessions: row?.sessions ?? 0,
    firstSeen: isoOf(row?.first),
    lastSeen: isoOf(row?.last),
    profiles: profile ? [profile] : profiles.filter(({ anonymousIds }) => anonymousIds.includes(person.id)),
    linkedIds: query
      .rows<Record<string, string> & { events: number }>("linked_ids")
      .map((row) => ({ id: row[otherField] ?? "", events: row.events })),
  }
}

/** Returns a time in ISO 8601. Accepts both of the API's time formats, ISO 8601 and Unix ms. */
function isoOf(time: number | string | null | undefined): string | undefined {
  return time === null || time === undefined ? undefined : new Date(time).toISOString()
}

/** A panel with the person's IDs, totals and traits. */
export function PersonIdentity({ person, summary }: { person: PersonId; summary: PersonSummary }) {
  return (
    <Panel
      title={person.kind === "visitor" ? "Visitor" : "Profile"}
      class="person-identity"
      hint="All time, regardless of the selected range."
    >
      <Loaded query={summary.query} id="all_time" height={columnHeights}>
        {() => (
          <div class="columns">
            <Facts person={person} summary={summary} />
            <Traits person={person} summary={summary} />
          </div>
        )}
      </Loaded>
    </Panel>
  )
}

/** The value of a trait. A long value is truncated and can be expanded. */
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

function Facts({ person, summary }: { person: PersonId; summary: PersonSummary }) {
  const { now } = useApp()
  const format = useFormat()
  const seen = (iso: string | undefined) =>
    iso === undefined ? "Never" : `${format.time(iso)}, ${format.ago(iso, now())}`
  return (
    <dl class="person-facts">
      <Fact name="ID">{person.id}</Fact>
      <Fact name="First seen">{seen(summary.firstSeen)}</Fact>
      <Fact name="Last seen">{seen(summary.lastSeen)}</Fact>
      <Fact name="Events">{format.count(summary.events)}</Fact>
      <Fact name="Sessions">{format.count(summary.sessions)}</Fact>
      <Fact name={person.kind === "visitor" ? "Profiles" : "Visitors"}>
        <LinkedIds person={person} summary={summary} />
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

/** A visitor's profiles, or a profile's visitors, as found in events and in calls to /identify. */
function LinkedIds({ person, summary }: { person: PersonId; summary: PersonSummary }) {
  const { router } = useApp()
  const format = useFormat()
  const kind = person.kind === "visitor" ? "profile" : "visitor"
  const identified =
    person.kind === "visitor"
      ? summary.profiles.map(({ profileId }) => profileId)
      : summary.profiles.flatMap(({ anonymousIds }) => anonymousIds)
  const counts = new Map(summary.linkedIds.map(({ id, events }) => [id, events]))
  const ids = [...new Set([...counts.keys(), ...identified])]
  if (ids.length === 0) return <span class="muted">None</span>
  const isTruncated = counts.size >= maxOtherIds || identified.length >= maxAnonymousIds
  return (
    <ul class="in-text">
      {ids.map((id) => {
        const profile = summary.profiles.find(({ profileId }) => profileId === id)
        const events = counts.get(id) ?? 0
        const isClaimed = summary.profiles.some(
          ({ profileId, claimedAnonymousIds }) =>
            claimedAnonymousIds.includes(kind === "visitor" ? id : person.id) &&
            profileId === (kind === "visitor" ? person.id : id),
        )
        return (
          <li key={id}>
            <Link href={router.pageHref("person", { [kind]: id })}>
              {kind === "profile" && profile ? displayName(profile) : id}
            </Link>{" "}
            <span class="muted">{events === 0 ? "no events" : format.countOf(events, "event")}</span>
            {isClaimed && <ClaimNote />}
          </li>
        )
      })}
      {isTruncated && <li class="muted">There may be more.</li>}
    </ul>
  )
}

/** Marks values that were sent only by a page, because anyone can imitate a page. */
function ClaimNote() {
  return <span class="muted"> (sent by a page, unverified)</span>
}

/** The traits sent to /identify. */
function Traits({ person, summary }: { person: PersonId; summary: PersonSummary }) {
  const { view, now } = useApp()
  const format = useFormat()
  const { website } = view.value
  if (website === "all")
    return <p class="muted">Traits belong to a single website. Select one to see them.</p>
  if (website === "none")
    return <p class="muted">Traits belong to a website, and these events have no website.</p>
  if (summary.profiles.length === 0) {
    return (
      <p class="muted">
        Not identified. Send traits such as a name to <code>POST /identify</code>.
      </p>
    )
  }
  return (
    <>
      {summary.profiles.map(({ profileId, traits, claimedTraits, updatedAt }) => (
        <div key={profileId}>
          <h3>{person.kind === "visitor" ? `Traits of ${profileId}` : "Traits"}</h3>
          <dl class="person-facts person-traits">
            {Object.entries(traits).map(([key, value]) => (
              <Fact key={key} name={key}>
                <Value text={String(value)} />
                {claimedTraits.includes(key) && <ClaimNote />}
              </Fact>
            ))}
          </dl>
          <p class="muted">Updated {format.ago(updatedAt, now())}.</p>
        </div>
      ))}
    </>
  )
}
