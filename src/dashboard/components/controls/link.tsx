import type { ComponentChildren } from "preact"
import { useApp } from "../../state/app.ts"

interface LinkProps {
  /** A path within the dashboard. */
  href: string
  class?: string
  children: ComponentChildren
  isCurrent?: boolean
  /** Accessible name, if the text does not identify the target. */
  label?: string
  onClick?: () => void
}

/** A link within the dashboard. It navigates without a reload unless it opens in a new tab or window. */
export function Link({ href, isCurrent, label, onClick, ...rest }: LinkProps) {
  const { router, session, embed } = useApp()
  const page = session.isLimited || embed ? router.pageOfHref(href) : undefined
  // If the user cannot open the page, the link is rendered as plain text, or omitted if it looks like a button.
  if (page !== undefined && (!session.canOpen(page) || (embed && page !== router.location.value.page)))
    return /\bbutton\b/.test(rest.class ?? "") ? null : <span class={rest.class}>{rest.children}</span>
  return (
    <a
      {...rest}
      href={router.hrefOf(href)}
      aria-label={label}
      aria-current={isCurrent ? "page" : undefined}
      onClick={(event) => {
        if (event.defaultPrevented || event.button !== 0) return
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
        event.preventDefault()
        onClick?.()
        router.navigate(href)
      }}
    />
  )
}
