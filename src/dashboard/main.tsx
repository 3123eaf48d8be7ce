import { type FunctionComponent, render } from "preact"
import { useEffect } from "preact/hooks"
import { safePath } from "../saved/path.ts"
import type { PageName } from "../sections.ts"
import { homePath } from "./components/layout/home.ts"
import { lazyPage } from "./components/layout/lazy-page.tsx"
import { MissingWebsite, NotFound } from "./components/layout/not-found.tsx"
import { Shell } from "./components/layout/shell.tsx"
import { Start } from "./components/layout/start.tsx"
import { Failure } from "./components/layout/states.tsx"
import { InstallPage } from "./install/install-page.tsx"
import { redirectPath } from "./login/redirect.ts"
import { Overview } from "./overview/overview.tsx"
import { App, AppContext, useApp } from "./state/app.ts"
import { embedParamNames } from "./state/embed.ts"
import { Web } from "./web/web.tsx"

/** Pages of a website, keyed by the path segment after the website's ID. */
const pages: Record<PageName, FunctionComponent> = {
  web: Web,
  overview: Overview,
  boards: lazyPage(async () => (await import("./boards/boards.tsx")).Boards),
  funnels: lazyPage(async () => (await import("./funnels/funnels.tsx")).Funnels),
  install: InstallPage,
  live: lazyPage(async () => (await import("./live/live.tsx")).Live),
  events: lazyPage(async () => (await import("./events/events.tsx")).Events),
  event: lazyPage(async () => (await import("./event/event.tsx")).EventPage),
  errors: lazyPage(async () => (await import("./errors/errors.tsx")).Errors),
  vitals: lazyPage(async () => (await import("./vitals/vitals.tsx")).Vitals),
  engagement: lazyPage(async () => (await import("./engagement/engagement.tsx")).Engagement),
  people: lazyPage(async () => (await import("./people/people.tsx")).People),
  person: lazyPage(async () => (await import("./person/person.tsx")).Person),
  retention: lazyPage(async () => (await import("./retention/retention.tsx")).Retention),
  paths: lazyPage(async () => (await import("./paths/paths.tsx")).Paths),
  goals: lazyPage(async () => (await import("./goals/goals.tsx")).Goals),
  refusals: lazyPage(
    async () => (await import("./rejected-requests/rejected-requests.tsx")).RejectedRequests,
  ),
}

/** Pages that do not belong to a website, keyed by their first path segment. */
const globalPages: Record<string, FunctionComponent> = {
  settings: lazyPage(async () => (await import("./settings/settings.tsx")).Settings),
}

const LoginPages = lazyPage(async () => (await import("./login/login-pages.tsx")).LoginPages)

function Root() {
  const { session, router } = useApp()
  useEffect(() => {
    void session.load()
  }, [session])
  const me = session.me.value
  const { page, base, params } = router.location.value
  const [first] = page.split("/")
  if (session.failure.value !== undefined) {
    return <Failure error={session.failure.value} onRetry={() => void session.load()} />
  }
  if (!me) return null
  const isLoggedOut = !me.user && !me.share
  if (isLoggedOut || (base === "" && first === "invite")) return <LoginPages />
  // A wallboard has no navigation.
  const isBoard = page === "boards" && (params.has("id") || session.sharedBoard !== undefined)
  const isBare = isBoard && params.get("mode") === "wallboard"
  if (isBare) return <Content />
  return (
    <Shell>
      <Content />
    </Shell>
  )
}

function Content() {
  const { session, router, preferences } = useApp()
  const { page, base, website, share, params } = router.location.value
  const [first = ""] = page.split("/")
  const isStart = page === "" && website !== undefined
  const needsRedirect =
    (page === "" && !isStart) || (base === "" && (page === "login" || page === "settings"))
  useEffect(() => {
    if (needsRedirect) router.navigate(redirectTarget(), "replace")
    if (website !== undefined && session.canRead(website)) preferences.website.value = website
  })
  /** Returns the path to open if the URL does not name a page. A share link opens the shared view. */
  const redirectTarget = () => {
    if (base !== "") {
      const { path = "", page: only } = session.me.value?.share ?? {}
      return withEmbedParams(`${base}/${safePath(path) || (only ?? "overview")}`, params)
    }
    if (page === "settings") return "/settings/account"
    return redirectPath(params.get("to"), router.origin) ?? homePath(session, preferences)
  }
  if (isStart) return session.canRead(website) ? <Start /> : <MissingWebsite key={website} />
  if (needsRedirect) return null
  if (website !== undefined && !session.canRead(website)) return <MissingWebsite key={website} />
  const Page = base === "" ? globalPages[first] : isPage(page) ? pages[page] : undefined
  if (!Page) return <NotFound />
  if (base === "" || session.canOpen(page)) return <Page />
  return <NotFound kind={share === undefined ? "section" : "sharedPage"} />
}

function isPage(page: string): page is PageName {
  return Object.hasOwn(pages, page)
}

/** Adds the parameters of an embedded page to the path, so that reloading the frame keeps its appearance. */
function withEmbedParams(path: string, params: URLSearchParams): string {
  const look = embedParamNames.flatMap((name) => {
    const value = params.get(name)
    return value === null ? [] : [[name, value]]
  })
  if (look.length === 0) return path
  return `${path}${path.includes("?") ? "&" : "?"}${new URLSearchParams(look)}`
}

const root = document.getElementById("app")
if (root) {
  render(
    <AppContext.Provider value={new App(window, root.dataset.basePath ?? "")}>
      <Root />
    </AppContext.Provider>,
    root,
  )
}
