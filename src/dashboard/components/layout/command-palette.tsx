import { useEffect, useId, useState } from "preact/hooks"
import { pageOf } from "../../../saved/path.ts"
import { type App, useApp } from "../../state/app.ts"
import type { BoardSummary } from "../../state/boards.ts"
import { displayName, type Profile } from "../../state/profiles.ts"
import { presets, rangeParams } from "../../state/range.ts"
import { useResource } from "../../state/resource.ts"
import { isSingleWebsite } from "../../state/session.ts"
import { useQuery } from "../../state/use-query.ts"
import { Dialog } from "../controls/dialog.tsx"
import { useEventNames } from "../controls/event-picker.tsx"
import { pagesFor } from "../controls/navigation-menu.ts"
import type { SavedView } from "../saved/save-view.tsx"
import { homeSite } from "./home.ts"

/** Number of entries to list at once. Typing narrows the list. */
const maxEntries = 12

interface Entry {
  text: string
  kind: string
  /** ID of a person, board or saved view; needed because several can share a name. */
  id?: string
  run: () => void
}

/** ms without a keystroke before people are searched, as in search fields. */
const debounceMs = 250
/** Maximum number of profiles, and of visitors, to list at once. */
const maxPeople = 5

/**
 * A dialog that finds and opens a page, website, range, event, property, board or saved view by part of its name, or a
 * person by part of their name, email or ID.
 */
export function CommandPalette({ onClose, onKeys }: { onClose: () => void; onKeys: () => void }) {
  const app = useApp()
  const { names } = useEventNames(app.session.canOpen("event"))
  const [text, setText] = useState("")
  const [highlighted, setHighlighted] = useState(0)
  const id = useId()
  const subjects = `Page, ${app.session.canSeePeople ? "person by name or email, " : ""}event, property, range or website`
  const people = usePeople(text.trim())
  const saved = useSaved()
  const properties = useProperties()
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  const matches = [...buildEntries(app, names, onKeys), ...saved, ...properties]
    .filter((entry) => words.every((word) => `${entry.kind} ${entry.text}`.toLowerCase().includes(word)))
    .slice(0, maxEntries)
    .concat(people.entries)
  const current = Math.min(highlighted, matches.length - 1)
  const run = (entry: Entry | undefined) => {
    if (!entry) return
    onClose()
    entry.run()
  }
  return (
    <Dialog title="Search" onClose={onClose} class="palette">
      <input
        data-autofocus
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={matches[current] ? `${id}-${current}` : undefined}
        aria-label={subjects}
        placeholder={subjects}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value)
          setHighlighted(0)
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setHighlighted(Math.min(current + 1, matches.length - 1))
          else if (event.key === "ArrowUp") setHighlighted(Math.max(current - 1, 0))
          else if (event.key === "Enter") run(matches[current])
          else return
          event.preventDefault()
        }}
      />
      <div id={id} class="menu palette-list" role="listbox" aria-label="Results">
        {matches.map((entry, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the input handles the keys
          // biome-ignore lint/a11y/useFocusableInteractive: the focus stays in the combobox input
          <div
            key={`${entry.kind} ${entry.id ?? entry.text}`}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === current}
            onClick={() => run(entry)}
          >
            <span>{entry.text}</span>
            <span class="muted">{entry.kind}</span>
          </div>
        ))}
      </div>
      {matches.length === 0 && <p class="muted">{people.isLoading ? "Searching…" : "No matches"}</p>}
    </Dialog>
  )
}

/** The matching profiles and visitors, loaded when the user pauses typing. Empty if the user cannot see people. */
function usePeople(typed: string): { entries: Entry[]; isLoading: boolean } {
  const { router, session, view } = useApp()
  const { website } = view.value
  const [search, setSearch] = useState("")
  useEffect(() => {
    const timer = setTimeout(() => setSearch(typed), debounceMs)
    return () => clearTimeout(timer)
  }, [typed])
  const isSearched = search !== "" && session.canSeePeople
  const params = new URLSearchParams({ website_id: website, search, limit: String(maxPeople) })
  const profiles = useResource<{ profiles: Profile[] }>(
    isSearched && isSingleWebsite(website) ? `profiles?${params}` : undefined,
  )
  const visitors = useQuery(isSearched ? [{ name: "people", search, limit: maxPeople }] : undefined, {
    filters: [],
  })
  if (typed === "" || !session.canSeePeople) return { entries: [], isLoading: false }
  const open = (person: { profile: string } | { visitor: string }) => () =>
    router.navigate(
      router.location.value.base === ""
        ? router.savedHref(`person?${new URLSearchParams(person)}`, website)
        : router.pageHref("person", person),
    )
  return {
    isLoading: search !== typed || profiles.isLoading || visitors.isLoading || visitors.isStale,
    entries: [
      ...(profiles.data?.profiles ?? []).map((profile) => ({
        text: [...new Set([displayName(profile), profile.email ?? profile.profileId])].join(" · "),
        kind: "Profile",
        id: profile.profileId,
        run: open({ profile: profile.profileId }),
      })),
      ...visitors.rows<{ anonymous_id: string }>("people").map(({ anonymous_id: visitor }) => ({
        text: visitor,
        kind: "Visitor",
        id: visitor,
        run: open({ visitor }),
      })),
    ],
  }
}

/** The website's boards and saved views that the user can open. */
function useSaved(): Entry[] {
  const { router, session, view } = useApp()
  const query = `website_id=${encodeURIComponent(view.value.website)}`
  const boards = useResource<{ boards: BoardSummary[] }>(
    session.canOpen("boards") ? `boards?${query}` : undefined,
  )
  // Saved views are listed only if the user can see people, because the path of a view can contain a person's ID.
  const views = useResource<{ views: SavedView[] }>(session.canSeePeople ? `views?${query}` : undefined)
  // A settings page does not belong to a website, so a link on it must name the website.
  const website = router.location.value.base === "" ? view.value.website : undefined
  const open = (path: string) => () => router.navigate(router.savedHref(path, website))
  return [
    ...(boards.data?.boards ?? []).map(({ id, name }) => ({
      text: name,
      kind: "Board",
      id,
      run: open(`boards?id=${encodeURIComponent(id)}`),
    })),
    ...(views.data?.views ?? [])
      .filter(({ path }) => session.canOpen(pageOf(path)))
      .map(({ id, name, path }) => ({ text: name, kind: "Saved view", id, run: open(path) })),
  ]
}

/** Maximum number of event property keys to search. */
const maxProperties = 1_000

/** The properties of each event in the range. Each opens the event's breakdown by that property. */
function useProperties(): Entry[] {
  const app = useApp()
  const { router, session } = app
  const isSeen = session.canOpen("event") && session.canSeeCustomEvents
  const parameter = { name: "custom_events_property_cardinality", id: "keys", limit: maxProperties }
  const query = useQuery(isSeen ? [parameter] : undefined, { filters: [] })
  return query
    .rows<{ event_name: string; property_key: string }>("keys")
    .map(({ event_name: name, property_key: key }) => ({
      text: key,
      kind: `Property of ${name}`,
      run: () => router.navigate(eventHref(app, { name, split: `property.${key}` })),
    }))
}

/** Returns the path of an event's page. On a settings page, the website is taken from the current view. */
function eventHref({ router, view }: App, params: { name: string; split?: string }): string {
  return router.location.value.base === ""
    ? router.savedHref(`event?${new URLSearchParams(params)}`, view.value.website)
    : router.pageHref("event", params)
}

function buildEntries(app: App, names: readonly string[], onKeys: () => void): Entry[] {
  const { router, session, preferences } = app
  // On a settings page, page links lead to the website shown in the navigation.
  const isOutside = router.location.value.base === ""
  const pageHref = (page: string) =>
    isOutside ? router.savedHref(page, homeSite(session, preferences)) : router.pageHref(page)
  const go = (path: string) => () => router.navigate(path)
  const sites = session.me.value?.share ? [] : session.sites.value
  return [
    ...pagesFor(session).map(({ page, label, path }) => ({
      text: label,
      kind: "Page",
      run: go(path ?? pageHref(page)),
    })),
    ...sites.map(({ id, name }) => ({ text: name, kind: "Website", run: go(router.websiteHref(id)) })),
    ...(session.canSeeAll
      ? [{ text: "All websites", kind: "Website", run: go(router.websiteHref("all")) }]
      : []),
    ...presets.map(({ preset, label }) => ({
      text: label,
      kind: "Range",
      run: () => router.setParams(rangeParams({ preset })),
    })),
    ...names.map((name) => ({ text: name, kind: "Event", run: go(eventHref(app, { name })) })),
    { text: "Keyboard shortcuts", kind: "Help", run: onKeys },
  ]
}
