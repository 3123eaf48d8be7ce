import { signal } from "@preact/signals"
import type { Api } from "./api.ts"

export interface User {
  id: string
  email: string
  role: "owner" | "viewer"
  /** null: all. */
  websites: string[] | null
}

export interface Me {
  user: User | null
  share: { name: string; websiteId: string | null; path: string; expiresAt: string | null } | null
  /** false: nobody has a login yet. */
  hasUsers: boolean
  version: string
}

export interface Site {
  /** `none`: the owner's own events; `all`: everything that may be read. */
  id: string
  name: string
  domain: string
}

/** Who looks at the page, and which websites they may see. */
export class Session {
  /** Undefined: it is not known yet. */
  readonly me = signal<Me | undefined>(undefined)
  readonly sites = signal<readonly Site[]>([])
  /** Why it is not known. */
  readonly failure = signal<unknown>(undefined)

  /** Somebody was in, and their cookie counts no more. */
  readonly hasEnded = signal(false)

  constructor(private readonly api: () => Api) {}

  async load(): Promise<void> {
    try {
      const me = await this.api().get<Me>("me")
      if (me.user || me.share) await this.loadSites()
      this.me.value = me
      this.hasEnded.value = false
      this.failure.value = undefined
    } catch (error) {
      this.failure.value = error
    }
  }

  async loadSites(): Promise<void> {
    const { websites } = await this.api().get<{ websites: Site[] }>("query/websites")
    this.sites.value = websites
  }

  /** The cookie does not count any more. */
  forget(): void {
    const me = this.me.value
    if (me?.user) this.me.value = { ...me, user: null }
  }

  get isOwner(): boolean {
    return this.me.value?.user?.role === "owner"
  }

  /** May see events of no website, and all websites together. */
  get seesAll(): boolean {
    const user = this.me.value?.user
    return user != null && (user.role === "owner" || user.websites === null)
  }

  /** What a person reads for a website's id. */
  nameOf(id: string): string {
    if (id === "all") return "All websites"
    if (id === "none") return "Without a website"
    const site = this.sites.value.find((one) => one.id === id)
    return site?.name ?? id
  }
}
