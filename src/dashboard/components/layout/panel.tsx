import type { ComponentChildren } from "preact"
import { useId, useLayoutEffect, useRef } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import type { PinnedTile } from "../../state/boards.ts"
import type { ChartName } from "../../state/embed.ts"
import type { QueryState } from "../../state/use-query.ts"
import { PinButton } from "../saved/pin.tsx"
import { Failure, Skeleton } from "./states.tsx"

interface PanelProps {
  title: string
  /** Switches, links and downloads, shown next to the title. */
  actions?: ComponentChildren
  /** The panel's chart or table, for pinning to a board. */
  pin?: PinnedTile | undefined
  /** A sentence below the title. */
  hint?: ComponentChildren
  class?: string
  /** The name of the chart in the URL, if it can be embedded on its own. */
  chart?: ChartName
  /** Whether the content is loading. */
  isLoading?: boolean
  children: ComponentChildren
}

/**
 * A titled section of a page. If the URL's fragment is the name of its chart, the section scrolls into view and its
 * title gets the focus.
 */
export function Panel({
  title,
  actions,
  pin,
  hint,
  class: className = "",
  chart,
  isLoading = false,
  children,
}: PanelProps) {
  const id = useId()
  const { embed, router } = useApp()
  const heading = useRef<HTMLHeadingElement>(null)
  const hasFocusedTarget = useRef(false)
  const isTarget = chart !== undefined && router.fragment === chart
  // Runs again when the panel's content has loaded, because content that loaded above the panel may have moved it. The
  // second run does nothing if the title no longer has the focus.
  useLayoutEffect(() => {
    if (!isTarget || (hasFocusedTarget.current && document.activeElement !== heading.current)) return
    hasFocusedTarget.current = true
    heading.current?.focus({ preventScroll: true })
    heading.current?.closest("section")?.scrollIntoView({ block: "center" })
  }, [isTarget, isLoading])
  if (embed?.chart !== undefined && embed.chart !== chart) return null
  return (
    <section class={`panel ${className}`} aria-labelledby={id}>
      <header class="panel-head">
        <h2 ref={heading} id={id} tabIndex={isTarget ? -1 : undefined}>
          {title}
        </h2>
        {(actions || pin) && (
          <div class="panel-actions">
            {actions}
            {pin && <PinButton tiles={[pin]} />}
          </div>
        )}
      </header>
      {hint && <p class="panel-hint">{hint}</p>}
      {children}
    </section>
  )
}

interface LoadedProps {
  query: QueryState
  /** ID of the query's parameter whose result is rendered. If this parameter failed, its error is shown instead. */
  id: string
  /** Height of the skeleton in px, or one height per column if columns can wrap. */
  height: number | readonly number[]
  children: () => ComponentChildren
}

/** Renders the result of a query. Shows a skeleton while the query runs, and an error if it fails. */
export function Loaded({ query, id, height, children }: LoadedProps) {
  if (query.isLoading) return <LoadingSkeleton height={height} />
  if (query.error) return <Failure error={query.error} onRetry={query.refetch} />
  const failure = query.failure(id)
  if (failure !== undefined) return <Failure error={new Error(failure)} onRetry={query.refetch} />
  return (
    <div class={query.isStale ? "stale" : undefined} aria-busy={query.isStale}>
      {children()}
    </div>
  )
}

function LoadingSkeleton({ height }: Pick<LoadedProps, "height">) {
  if (typeof height === "number") return <Skeleton height={height} />
  return (
    <div class="columns">
      {height.map((columnHeight, index) => (
        <Skeleton key={index} height={columnHeight} />
      ))}
    </div>
  )
}
