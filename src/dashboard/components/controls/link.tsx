import type { ComponentChildren } from "preact"
import { useApp } from "../../state/app.ts"

interface LinkProps {
  /** A path of the dashboard. */
  href: string
  class?: string
  children: ComponentChildren
  isCurrent?: boolean
  /** Accessible name, if the text alone does not name the target. */
  label?: string
  onClick?: () => void
}

/** A link within the dashboard. It navigates without a reload, except into a new tab or window. */
export function Link({ href, isCurrent, label, onClick, ...rest }: LinkProps) {
  const { router } = useApp()
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
