import type { EventKind } from "../event-kinds.ts"
import { serializeProperties } from "../ingest/event.ts"
import type { AcquisitionContext } from "../store/contexts.ts"
import type { EventRow } from "../store/events.ts"
import type { Visitor } from "./audience.ts"
import type { SeededRandom } from "./random.ts"

export interface Page {
  path: string
  title: string
  /** Factor for the load time. Default: 1. */
  heavy?: number
}

export interface VisitorError {
  message: string
  /** Name of the script. */
  file: string
  line: number
  column: number
  /** Names of the functions, innermost first. */
  stack: readonly string[]
}

/** The website of a visit, and a function that receives its rows. */
export interface Scene {
  random: SeededRandom
  rid: number
  /** The website's domain. */
  domain: string
  /** Returns false if events at this time are not stored. No row is then created. */
  isStored: (at: number) => boolean
  /** Receives the rows, in any order. */
  add: (row: EventRow) => void
}

export interface VisitOptions {
  visitor: Visitor
  /** Start of the visit, in Unix ms. */
  at: number
  source: AcquisitionContext
  profileId?: string | null
  /** Properties of every custom event. */
  shared?: Record<string, string | number | boolean>
  /** Factor for the time from an interaction to the next frame (INP). Default: 1. */
  sluggish?: number
  /** If false, web vitals and engagement are not reported. By default, a sample of visits reports them. */
  isSampled?: boolean
}

type Properties = Record<string, unknown>

/** Shares of visits that report web vitals and engagement. Large websites also report only a sample. */
const vitalsShare = 0.1
const engagementShare = 0.1

/** Medians on a fast desktop, in ms except for CLS, which is a ratio. `spread`: see `SeededRandom.around`. */
const vitals = [
  { name: "TTFB", median: 240, spread: 0.5, onOpen: true },
  { name: "FCP", median: 900, spread: 0.4, onOpen: true },
  { name: "LCP", median: 1_450, spread: 0.45, onOpen: true },
  { name: "INP", median: 85, spread: 0.6, onOpen: false },
  { name: "CLS", median: 0.025, spread: 1.1, onOpen: false },
] as const

const noSource: AcquisitionContext = {
  referrer: "",
  referrer_domain: "",
  referrer_type: "direct",
  utm_source: "",
  utm_medium: "",
  utm_campaign: "",
  utm_term: "",
  utm_content: "",
}

/** Returns an acquisition context with the `known` fields. The other fields have the values of a direct visit. */
export function sourceOf(known: Partial<AcquisitionContext>): AcquisitionContext {
  return { ...noSource, ...known }
}

/** Simulates one visit by writing rows for the events that the page script would send. Most methods advance `at`. */
export class Visit {
  /** The current time of the visit, in Unix ms. */
  at: number
  readonly #sessionId: string
  readonly #internal: AcquisitionContext
  readonly #hasVitals: boolean
  readonly #hasEngagement: boolean
  #page: Page | undefined
  #openedAt = 0
  #pages = 0
  #interactions = 0
  #errors = 0
  /** The form that was filled in on the page, if any. */
  #form: { lastField: string; isSubmitted: boolean } | undefined

  constructor(
    readonly scene: Scene,
    public options: VisitOptions,
  ) {
    const { random, domain } = scene
    this.at = options.at
    this.#sessionId = `sess_${random.uuid()}`
    this.#internal = sourceOf({
      referrer: `https://${domain}/`,
      referrer_domain: domain,
      referrer_type: "internal",
    })
    const { isSampled = true } = options
    this.#hasVitals = isSampled && random.chance(vitalsShare)
    this.#hasEngagement = isSampled && random.chance(engagementShare)
  }

  /** Logs the visitor in, so that later events contain the profile's ID. */
  identify(identity: Pick<VisitOptions, "profileId" | "shared" | "sluggish">): void {
    this.options = { ...this.options, ...identity }
  }

  /** Opens a page and leaves the previous one. */
  open(page: Page): this {
    this.leave()
    const { random, domain } = this.scene
    const { visitor, source } = this.options
    this.#page = page
    this.#openedAt = this.at
    this.#pages++
    this.#write("page_view", "screen_view", page.path, {
      properties: { title: page.title, hostname: domain, viewport_size: visitor.viewport },
      acquisition: this.#pages === 1 ? source : this.#internal,
    })
    if (this.#hasVitals) this.#report(true)
    this.at += Math.floor(random.around(1_200, 0.4))
    return this
  }

  /** Lets about this many seconds pass, for reading, typing or thinking. */
  wait(seconds: number): this {
    const { random } = this.scene
    this.at += Math.floor(random.around(seconds, 0.6) * 1_000)
    this.#interactions += random.count(seconds / 12)
    return this
  }

  /** Adds a custom event on the current page. */
  track(name: string, properties: Properties = {}): this {
    const { shared, source } = this.options
    this.#write("custom", name, this.#page?.path ?? "/", {
      properties: { ...properties, ...shared },
      acquisition: source,
    })
    this.at += 5 + Math.floor(this.scene.random.fraction() * 900)
    this.#interactions++
    return this
  }

  error({ message, file, line, column, stack }: VisitorError): this {
    const { domain } = this.scene
    const url = `https://${domain}/assets/${file}`
    const frames = stack.map((name, index) => `    at ${name} (${url}:${line + index * 37}:${column})`)
    const type = /^(\w*Error):/.exec(message)?.[1] ?? "Error"
    this.#write("error", "error", this.#page?.path ?? "/", {
      properties: {
        message,
        filename: url,
        lineno: line,
        colno: column,
        stack: [message, ...frames].join("\n"),
        error_type: type,
      },
    })
    this.#errors++
    this.at += 40
    return this
  }

  /** Fills in a form on the current page, up to the field `lastField`. */
  form(lastField: string, isSubmitted: boolean): this {
    this.#form = { lastField, isSubmitted }
    return this
  }

  /** Clicks a link to another website. */
  outgoing(href: string, text: string): this {
    const { domain: hostname } = this.scene
    const domain = new URL(href).hostname
    this.#write("outgoing_link", "outgoing_link", this.#page?.path ?? "/", {
      properties: { title: this.#page?.title, hostname, href, text, domain },
      acquisition: this.options.source,
    })
    return this
  }

  /** Leaves the current page. Call it at the end of the visit. */
  leave(): this {
    const page = this.#page
    if (!page) return this
    const { random } = this.scene
    const seconds = Math.max(1, Math.round((this.at - this.#openedAt) / 1_000))
    const depth = Math.min(100, Math.round(random.around(48, 0.6)))
    if (this.#hasVitals) this.#report(false)
    if (this.#hasEngagement) this.#engage(page, seconds, depth)
    this.#write("page_exit", "page_exit", page.path, {
      properties: { time_on_page: seconds, scroll_depth: depth, interaction_count: this.#interactions },
      acquisition: this.#pages === 1 ? this.options.source : this.#internal,
    })
    this.#page = undefined
    this.#form = undefined
    this.#interactions = 0
    this.#errors = 0
    this.at += 200
    return this
  }

  #report(onOpen: boolean): void {
    const { random } = this.scene
    const { visitor, sluggish = 1 } = this.options
    const { path = "/", heavy = 1 } = this.#page ?? {}
    for (const { name, median, spread, ...row } of vitals) {
      // Some browsers do not support all vitals, and not all visitors interact.
      if (row.onOpen !== onOpen || random.chance(0.12)) continue
      const isShift = name === "CLS"
      const factor = isShift ? 1 : name === "INP" ? sluggish : heavy
      const value = random.around(median * (isShift ? 1 : visitor.slow) * factor, spread)
      this.#write("web_vital", name, path, {
        properties: { value: isShift ? Math.round(value * 1_000) / 1_000 : Math.round(value) },
      })
    }
  }

  #engage({ path }: Page, seconds: number, depth: number): void {
    const { random } = this.scene
    const isRage = random.chance(0.02 + 0.25 * Math.min(1, this.#errors))
    const isDead = random.chance(0.05)
    const form = this.#form
    this.#write("engagement", "engagement", path, {
      properties: {
        page_index: this.#pages - 1,
        exit_type: random.chance(0.7) ? "navigation" : "hidden",
        time_on_page: seconds,
        active_time: Math.round(seconds * (0.35 + 0.5 * random.fraction())),
        time_to_first_interaction: Math.round(random.around(2_400, 0.7)),
        max_scroll_depth: depth,
        interaction_count: this.#interactions,
        error_count: this.#errors,
        ...(isRage && { rage_click_count: random.integer(1, 3), rage_click_target: "button.primary" }),
        ...(isDead && {
          dead_click_count: 1,
          dead_click_target: random.pick(["img.cover", "div.card", "h2"]),
        }),
        ...(form && {
          form_field_count: 4,
          form_submit_count: form.isSubmitted ? 1 : 0,
          last_form_field: form.lastField,
        }),
      },
    })
  }

  #write(
    kind: EventKind,
    name: string,
    path: string,
    { properties, acquisition = null }: { properties: Properties; acquisition?: AcquisitionContext | null },
  ): void {
    const { rid, isStored, add } = this.scene
    const { visitor, profileId = null } = this.options
    if (!isStored(this.at)) return
    add(
      eventRow({
        rid,
        kind,
        name,
        path,
        properties,
        acquisition,
        client: visitor.client,
        ts: this.at,
        // The page script sends events in batches, so they arrive later than they occur. The delay is not drawn from
        // `random`, because the random numbers must not depend on which events are stored.
        receivedAt: this.at + 60 + (this.at % 1_499),
        anonymousId: visitor.id,
        sessionId: this.#sessionId,
        profileId,
      }),
    )
  }
}

/** Adds an event that the website's server sends with its key. The event has no browser and no session. */
export function serverEvent(
  { rid, isStored, add }: Scene,
  event: { name: string; properties: Properties; at: number; visitor: Visitor; profileId: string },
): void {
  const { name, properties, at, visitor, profileId } = event
  if (!isStored(at)) return
  add({
    ...eventRow({
      rid,
      name,
      properties,
      profileId,
      ts: at,
      receivedAt: at + 35,
      anonymousId: visitor.id,
      kind: "custom",
      path: null,
      client: null,
      acquisition: null,
      sessionId: null,
    }),
    viaKey: 1,
  })
}

type RowFields = Pick<
  EventRow,
  "name" | "path" | "ts" | "receivedAt" | "anonymousId" | "sessionId" | "profileId"
> &
  Required<Pick<EventRow, "kind" | "client" | "acquisition">> & { rid: number; properties: Properties }

function eventRow(fields: RowFields): EventRow {
  const serialized = serializeProperties(fields.properties)
  if (typeof serialized === "string") throw new Error(`the properties of ${fields.name} ${serialized}`)
  // Lists the fields instead of spreading them, because spreads are slower and this runs for every event.
  return {
    websiteRid: fields.rid,
    name: fields.name,
    kind: fields.kind,
    namespace: "",
    source: "",
    keys: serialized.keys,
    properties: serialized.properties,
    ts: fields.ts,
    receivedAt: fields.receivedAt,
    anonymousId: fields.anonymousId,
    hashVisitor: false,
    sessionId: fields.sessionId,
    profileId: fields.profileId,
    path: fields.path,
    viaKey: 0,
    crawler: 0,
    eventId: null,
    client: fields.client,
    acquisition: fields.acquisition,
  }
}
