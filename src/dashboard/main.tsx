import { type FunctionComponent, render } from "preact"
import { useEffect } from "preact/hooks"
import { safePath } from "../saved/path.ts"
import { Door } from "./door/door.tsx"
import { wantedPath } from "./door/wanted.ts"
import { InstallPage } from "./install/install-page.tsx"
import { Overview } from "./overview/overview.tsx"
import { homeOf } from "./parts/home.ts"
import { later } from "./parts/later.tsx"
import { Missing } from "./parts/missing.tsx"
import { sharedPages } from "./parts/pages.ts"
import { Shell } from "./parts/shell.tsx"
import { Failure } from "./parts/states.tsx"
import { App, AppContext, useApp } from "./state/app.ts"

/** Pages of a website, by what stands behind it in the address. */
const pages: Record<string, FunctionComponent> = {
  overview: Overview,
  funnels: later(async () => (await import("./funnels/funnels.tsx")).Funnels),
  install: InstallPage,
  live: later(async () => (await import("./live/live.tsx")).Live),
  events: later(async () => (await import("./events/events.tsx")).Events),
  event: later(async () => (await import("./event/event.tsx")).EventPage),
  people: later(async () => (await import("./people/people.tsx")).People),
  person: later(async () => (await import("./person/person.tsx")).Person),
  retention: later(async () => (await import("./retention/retention.tsx")).Retention),
  paths: later(async () => (await import("./paths/paths.tsx")).Paths),
  goals: later(async () => (await import("./goals/goals.tsx")).Goals),
  refusals: later(async () => (await import("./refusals/refusals.tsx")).Refusals),
}

/** Pages outside of websites, by the first part of their address. */
const pagesOutside: Record<string, FunctionComponent> = {
  settings: later(async () => (await import("./settings/settings.tsx")).Settings),
}

function Root() {
  const { session, place } = useApp()
  useEffect(() => {
    void session.load()
  }, [session])
  const me = session.me.value
  const { page, base } = place.spot.value
  const [first] = page.split("/")
  if (session.failure.value !== undefined) {
    return <Failure error={session.failure.value} again={() => void session.load()} />
  }
  if (!me) return null
  const isOutside = !me.user && !me.share
  if (isOutside || (base === "" && first === "invite")) return <Door />
  return (
    <Shell>
      <Content />
    </Shell>
  )
}

function Content() {
  const { session, place, preferences } = useApp()
  const { page, base, website, share, params } = place.spot.value
  const [first = ""] = page.split("/")
  const isOpen = page === "" || (base === "" && (page === "login" || page === "settings"))
  useEffect(() => {
    if (isOpen) place.go(whereTo(), "replace")
    if (website !== undefined) preferences.website.value = website
  })
  /** What an address leads to that names no page: of a share link the view that was shared. */
  const whereTo = () => {
    if (base !== "") return `${base}/${safePath(session.me.value?.share?.path ?? "") || "overview"}`
    if (page === "settings") return "/settings/account"
    return wantedPath(params.get("to"), place.origin) ?? homeOf(session, preferences)
  }
  if (isOpen) return null
  const Found =
    base === "" ? pagesOutside[first] : share === undefined || sharedPages.has(page) ? pages[page] : undefined
  return Found ? <Found /> : <Missing />
}

const root = document.getElementById("app")
if (root) {
  render(
    <AppContext.Provider value={new App(window)}>
      <Root />
    </AppContext.Provider>,
    root,
  )
}
