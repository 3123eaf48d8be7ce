import { closestOf } from "./tracked-elements.ts"

/** A visitor counts as inactive after this many ms without input. */
const maxGap = 30_000
/**
 * Maximum time between consecutive clicks of a rage click, in ms. A rage click is `rageClicks` clicks on the same
 * element without a response from the page.
 */
const rageGap = 1_000
const rageClicks = 3
/** A click is dead if the page does not respond within this time, in ms. */
const deadAfter = 2_500
/** Scroll events that are further apart than this, in ms, count as separate gestures. */
const scrollGap = 150
/** Maximum length of the name of an element or field, in characters. */
const maxName = 64

/**
 * Elements that are expected to change the page when they are clicked. Text fields are not listed because they only
 * receive focus. Downloads and mail links are not listed because they act outside the page.
 */
const controls =
  "button,summary,[role=button],[role=tab],[role=menuitem],[onclick],input[type=button],input[type=submit],a[href]:not([target],[download],[href^=mailto],[href^=tel])"
/**
 * Links that leave the page unless a script prevents this. A click on such a link is not dead, even if the next page
 * takes a long time to appear.
 */
const leavingLinks = "a[href]:not([href^='#'])"

/** What a visitor has done on a page since the last report. */
function newCounts() {
  return {
    scrollCount: 0,
    clickCount: 0,
    keyCount: 0,
    copyCount: 0,
    rageClickCount: 0,
    deadClickCount: 0,
    formSubmitCount: 0,
    errorCount: 0,
    rageClickTarget: undefined as string | undefined,
    deadClickTarget: undefined as string | undefined,
    lastFormField: undefined as string | undefined,
  }
}

/** Returns a name for an element. The name does not include the element's text, which could be personal. */
function nameOf(element: Element): string {
  const suffix = element.id ? `#${element.id}` : element.classList[0] ? `.${element.classList[0]}` : ""
  return (element.localName + suffix).slice(0, maxName)
}

export type Engagement = ReturnType<typeof start>

/** Counts what the visitor does. Never reads the contents of fields or the keys pressed. */
export function start() {
  let counts = newCounts()
  let fields = new Set<EventTarget | null>()
  let startedAt = Date.now()
  let firstAt = 0
  let lastAt = startedAt
  let active = 0
  let scrolledAt = 0
  let respondedAt = 0
  let watched = 0
  let clicked: { control: Element; at: number; clicks: number } | undefined

  const input = () => {
    const now = Date.now()
    firstAt ||= now
    active += Math.min(now - lastAt, maxGap)
    lastAt = now
  }
  const respond = () => {
    respondedAt = Date.now()
  }
  const observer = new MutationObserver(respond)

  const watchControl = (event: Event): void => {
    const control = closestOf(event, controls)
    if (!control) return
    const at = Date.now()
    const isRepeated = clicked?.control === control && at - clicked.at < rageGap && respondedAt < clicked.at
    clicked = { control, at, clicks: isRepeated && clicked ? clicked.clicks + 1 : 1 }
    if (clicked.clicks === rageClicks) {
      counts.rageClickCount++
      counts.rageClickTarget = nameOf(control)
    }
    // A series of clicks counts as at most one dead click.
    if (isRepeated) return
    // The observer slows down the page, so it is disconnected `deadAfter` ms after the last click.
    observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true })
    watched++
    setTimeout(() => {
      if (--watched === 0) observer.disconnect()
      if (respondedAt >= at || (control.matches(leavingLinks) && !event.defaultPrevented)) return
      counts.deadClickCount++
      counts.deadClickTarget = nameOf(control)
    }, deadAfter)
  }

  const handlers: Record<string, (event: Event) => void> = {
    pointerdown: input,
    keydown: () => {
      input()
      counts.keyCount++
    },
    scroll: () => {
      input()
      respond()
      if (lastAt - scrolledAt > scrollGap) counts.scrollCount++
      scrolledAt = lastAt
    },
    click: (event) => {
      input()
      counts.clickCount++
      watchControl(event)
    },
    copy: () => counts.copyCount++,
    submit: () => {
      respond()
      counts.formSubmitCount++
    },
    error: (event) => {
      // Images and scripts that fail to load fire error events without a message.
      if (event instanceof ErrorEvent) counts.errorCount++
    },
    input: ({ target }) => {
      respond()
      fields.add(target)
      if (target instanceof Element) {
        counts.lastFormField = (target.getAttribute("name") ?? nameOf(target)).slice(0, maxName)
      }
    },
    // The focus has moved to another tab, a browser dialog or a frame, which counts as a response to a click.
    blur: ({ target }) => target === window && respond(),
  }
  for (const [name, handler] of Object.entries(handlers))
    addEventListener(name, handler, { capture: true, passive: true })

  return {
    /** Starts a new view. */
    restart: (): void => {
      respond()
      startedAt = Date.now()
      firstAt = 0
      clicked = undefined
    },
    /** Starts measuring active time. Called when the page becomes visible. */
    resume: (): void => {
      lastAt = Date.now()
    },
    /** Returns the counts since the last call, named like the fields of `POST /engagement`, and resets them. */
    take: () => {
      respond()
      active += Math.min(Date.now() - lastAt, maxGap)
      const taken = {
        ...counts,
        interactionCount: counts.clickCount + counts.keyCount + counts.scrollCount,
        formFieldCount: fields.size,
        activeTime: Math.round(active / 1_000),
        timeToFirstInteraction: firstAt && firstAt - startedAt,
      }
      counts = newCounts()
      fields = new Set()
      active = 0
      return taken
    },
  }
}
