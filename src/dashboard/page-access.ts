import { canAccess } from "../http/permissions.ts"
import { loginForNavigation } from "../http/session-cookie.ts"
import { type PageName, pageNames, sharePages, userPages } from "../sections.ts"
import type { Db } from "../store/db/driver.ts"
import type { Registry } from "../store/ingest/registry.ts"
import { isInviteValid } from "../store/invites.ts"
import { shareWithToken } from "../store/shares.ts"

export interface PageDeps {
  db: Db
  registry: Pick<Registry, "website">
  now: () => number
}

/** How the server responds to a request for a page. If access is denied, the page explains what to do next. */
export interface PageAccess {
  status: 200 | 403 | 404
  /** Sources for `frame-ancestors`. If there are none, no website can frame the page. */
  embedHosts: readonly string[]
}

const open: PageAccess = { status: 200, embedHosts: [] }
const forbidden: PageAccess = { status: 403, embedHosts: [] }
const missing: PageAccess = { status: 404, embedHosts: [] }

/**
 * Determines whether the requester can open the URL of a page. If the requester is not logged in, every website ID and
 * page is treated as if it existed.
 */
export function pageAccess(deps: PageDeps, request: Request): PageAccess {
  const [first = "", second = "", page = ""] = segmentsOf(request.url)
  if (first === "invite") return isInviteValid(deps.db, second, deps.now()) ? open : missing
  if (first === "share" || first === "embed") return shareAccess(deps, second, page, first === "embed")
  if (first === "w") return websiteAccess(deps, request, second, page)
  return open
}

function shareAccess({ db, now }: PageDeps, token: string, page: string, isEmbedded: boolean): PageAccess {
  const share = shareWithToken(db, token, now())
  if (!share) return missing
  const access = pageStatus(page, sharePages(share.page))
  return isEmbedded ? { ...access, embedHosts: share.embedHosts } : access
}

function websiteAccess({ db, registry, now }: PageDeps, request: Request, id: string, page: string) {
  const login = loginForNavigation(db, request, now())
  if (!login) return open
  const { websites, sections } = login.user
  const exists = registry.website(id) !== undefined
  // `all` stands for all websites together, and `none` for events without a website, unless a website has that ID.
  const isKeyword = !exists && (id === "all" || (id === "none" && websites === null))
  // A website that the user cannot access gets the same status as an unknown one, so that the status does not reveal
  // which websites exist.
  if (!isKeyword && !(exists && canAccess({ websites }, id))) return missing
  return pageStatus(page, userPages(sections))
}

function pageStatus(page: string, pages: readonly string[]): PageAccess {
  if (page === "" || pages.includes(page)) return open
  return isPage(page) ? forbidden : missing
}

function isPage(page: string): page is PageName {
  return pageNames.some((name) => name === page)
}

function segmentsOf(url: string): string[] {
  const { pathname } = new URL(url)
  return pathname.split("/").filter(Boolean).map(decoded)
}

/** Decodes percent-encoded text. Returns invalid text unchanged. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
