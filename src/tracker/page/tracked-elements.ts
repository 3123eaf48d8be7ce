/** Maximum length of a link's text, in characters. */
const maxText = 256

export interface ClickHandlers {
  /** Handles clicks on elements with `data-track`. */
  attributes: ((name: string, properties: Record<string, string | undefined>) => void) | false | undefined
  /** Handles clicks on links to other hosts. */
  outgoing: ((href: string, text: string) => void) | false | undefined
}

/** Returns the innermost element around a click that matches the selector, even inside shadow roots. */
export function closestOf(event: Event, selector: string): Element | undefined {
  return event
    .composedPath()
    .find((node): node is Element => node instanceof Element && node.matches(selector))
}

/** Watches clicks with any mouse button, because a middle click opens a link in a new tab. */
export function watchTrackedElements({ attributes, outgoing }: ClickHandlers): void {
  const clicked = (event: Event) => {
    const marked = closestOf(event, "[data-track]")
    if (attributes && marked instanceof HTMLElement) {
      const { track, ...properties } = marked.dataset
      if (track) attributes(track, properties)
    }
    const link = closestOf(event, "a[href]")
    if (
      outgoing &&
      link instanceof HTMLAnchorElement &&
      link.hostname !== location.hostname &&
      link.protocol.startsWith("http")
    ) {
      outgoing(link.href, (link.textContent ?? "").trim().slice(0, maxText))
    }
  }
  addEventListener("click", clicked, true)
  addEventListener("auxclick", clicked, true)
}
