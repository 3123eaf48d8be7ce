import type { ComponentChildren } from "preact"
import { useApp } from "../../state/app.ts"

interface LinkProps {
  href: string
  class?: string
  children: ComponentChildren
  isCurrent?: boolean
  /** Where the text alone does not say where it leads. */
  label?: string
  onClick?: () => void
}

/** A link within the dashboard: an ordinary one for whoever wants it in another tab. */
export function Link({ href, isCurrent, label, onClick, ...rest }: LinkProps) {
  const { place } = useApp()
  return (
    <a
      {...rest}
      href={href}
      aria-label={label}
      aria-current={isCurrent ? "page" : undefined}
      onClick={(event) => {
        if (event.defaultPrevented || event.button !== 0) return
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
        event.preventDefault()
        onClick?.()
        place.go(href)
      }}
    />
  )
}
