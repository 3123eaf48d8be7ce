import type { ComponentChildren } from "preact"
import { useId } from "preact/hooks"
import type { Answered } from "../../state/use-query.ts"
import { Failure, Skeleton } from "./states.tsx"

interface PanelProps {
  title: string
  /** Beside the title: switches, a link, a download. */
  actions?: ComponentChildren
  /** A sentence below the title. */
  hint?: ComponentChildren
  class?: string
  children: ComponentChildren
}

/** A part of a page with a title of its own. */
export function Panel({ title, actions, hint, class: look = "", children }: PanelProps) {
  const id = useId()
  return (
    <section class={`panel ${look}`} aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        {actions && <div class="panel-actions">{actions}</div>}
      </header>
      {hint && <p class="panel-hint">{hint}</p>}
      {children}
    </section>
  )
}

interface LoadedProps {
  answered: Answered
  /** The parameter whose answer it is; its failure is shown. */
  of: string
  /** px, of what comes; of each of its columns, where those may stand one below the other. */
  height: number | readonly number[]
  children: () => ComponentChildren
}

/** What was answered; until then a skeleton of its size, and what went wrong where something did. */
export function Loaded({ answered, of, height, children }: LoadedProps) {
  if (answered.isLoading) return <Coming height={height} />
  if (answered.error) return <Failure error={answered.error} again={answered.again} />
  const failure = answered.failure(of)
  if (failure !== undefined) return <Failure error={new Error(failure)} again={answered.again} />
  return (
    <div class={answered.isStale ? "stale" : undefined} aria-busy={answered.isStale}>
      {children()}
    </div>
  )
}

function Coming({ height }: Pick<LoadedProps, "height">) {
  if (typeof height === "number") return <Skeleton height={height} />
  return (
    <div class="columns">
      {height.map((one, index) => (
        <Skeleton key={index} height={one} />
      ))}
    </div>
  )
}
