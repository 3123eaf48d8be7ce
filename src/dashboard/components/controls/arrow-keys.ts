/**
 * If an up or down arrow key was pressed, moves the focus to the previous or next element with `data-item` in the list.
 * The list's search field is one of these elements.
 */
export function moveFocus(event: KeyboardEvent): void {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key]
  if (by === undefined || !(event.currentTarget instanceof HTMLElement)) return
  const items: (Element | null)[] = [...event.currentTarget.querySelectorAll("[data-item]")]
  const at = items.indexOf(document.activeElement)
  if (at < 0) return
  event.preventDefault()
  const next = items[at + by]
  if (next instanceof HTMLElement) next.focus()
}
