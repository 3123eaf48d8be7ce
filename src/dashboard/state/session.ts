import { signal } from "@preact/signals"
import type { EventKind } from "../../event-kinds.ts"
import { queryTypePages, readableKinds, type Section, sharePages, userPages } from "../../sections.ts"
import type { Api } from "./api.ts"

export interface User {
  id: string
  email: string
  role: "owner" | "viewer"
  /** null for all websites. */
  websites: string[] | null
  /** null for all sections. */
  sections: Section[] | null
}

export interface Me {
  user: User | null
  share: {
    name: string
    websiteId: string | null
    path: string
    page: string | null
    /** The only board that the link opens; null for none. */
    boardId: string | null
    expiresAt: string | null
  } | null
  /** False if there are no accounts yet. */
  hasUsers: boolean
  version: string
  /** File name of the page script. */
  scriptName: string
  /** Path prefix under which the script and its endpoints are served; '' for none. */
  ingestPath: string
}

export interface Site {
  /** The ID of a website, `none` for events without a website, or `all` for everything that the user can read. */
  id: string
  name: string
  domain: string
  /** Names of the events for which lower counts are better. */
  lowerIsBetter: readonly string[]
}

/** Whether an ID belongs to a website, as opposed to `none` and `all`. */
export function isSingleWebsite(id: string): boolean {
  return id !== "none" && id !== "all"
}

/** The current user or share link, and the websites they can see. */
export class Session {
  /** Undefined until loaded. */
  readonly me = signal<Me | undefined>(undefined)
  readonly sites = signal<readonly Site[]>([])
  /** The error of the last load, if it failed. */
  readonly failure = signal<unknown>(undefined)

  /** Whether the user's login session has expired or been revoked. */
  readonly hasExpired = signal(false)

  constructor(private readonly api: () => Api) {}

  async load(): Promise<void> {
    try {
      const me = await this.api().get<Me>("me")
      if (me.user || me.share) await this.loadSites()
      this.me.value = me
      this.hasExpired.value = false
      this.failure.value = undefined
    } catch (error) {
      this.failure.value = error
    }
  }

  async loadSites(): Promise<void> {
    const { websites } = await this.api().get<{ websites: Site[] }>("query/websites")
    this.sites.value = websites
  }

  /** Removes the user after a logout or when the login session has expired, or a share link that no longer works. */
  clear(): void {
    const me = this.me.value
    if (me?.user || me?.share) this.me.value = { ...me, user: null, share: null }
  }

  /** The website pages that the user or share link can open. */
  get pages(): readonly string[] {
    const { user, share } = this.me.value ?? {}
    if (share) return sharePages(share.page)
    return user ? userPages(user.sections) : []
  }

  canOpen(page: string): boolean {
    return this.pages.includes(page)
  }

  /** Whether the user can see individual events, people and their IDs. */
  get canSeePeople(): boolean {
    return this.canOpen("people")
  }

  /** Whether the user can read the properties of custom events, which are suggested in filters. */
  get canSeeCustomEvents(): boolean {
    return queryTypePages.custom_event_properties.some((page) => this.canOpen(page))
  }

  /** The kinds of events whose values the user can list. */
  get readableKinds(): readonly EventKind[] {
    return readableKinds(this.pages)
  }

  /** ID of the only board that the share link opens; undefined if it is not limited to a board. */
  get sharedBoard(): string | undefined {
    return this.me.value?.share?.boardId ?? undefined
  }

  /** Whether a share link is limited to one page, or a user to some sections. */
  get isLimited(): boolean {
    const { user, share } = this.me.value ?? {}
    return share ? share.page !== null : user?.sections != null
  }

  /** Whether the user can read a website: an ID, `all` or `none`. Like the server, ignores the case of IDs. */
  canRead(website: string): boolean {
    const isKnown = this.sites.value.some(({ id }) => id.toLowerCase() === website.toLowerCase())
    return isKnown || website === "all" || (website === "none" && this.canSeeAll)
  }

  get isOwner(): boolean {
    return this.me.value?.user?.role === "owner"
  }

  /** Whether the user can see events without a website, and all websites combined. */
  get canSeeAll(): boolean {
    const user = this.me.value?.user
    return user != null && (user.role === "owner" || user.websites === null)
  }

  /** Whether lower counts of this event are better for the website or, if `website` is `all`, for any website. */
  isLowerBetter(website: string, event: string): boolean {
    return this.sites.value.some(
      ({ id, lowerIsBetter }) => (id === website || website === "all") && lowerIsBetter.includes(event),
    )
  }

  /** The display name of a website ID. */
  nameOf(id: string): string {
    if (id === "all") return "All websites"
    if (id === "none") return "No website"
    const site = this.sites.value.find((candidate) => candidate.id === id)
    return site?.name ?? id
  }
}
