import type { ComponentChildren } from "preact"
import { Failure, Skeleton } from "../components/layout/states.tsx"
import type { Resource } from "../state/resource.ts"

interface ListProps<Data> {
  /** Accessible name. */
  name: string
  resource: Resource<Data>
  /** Shown if there are no rows. */
  empty: ComponentChildren
  rows: (data: Data) => ComponentChildren[]
}

/** Height of the skeleton in px. */
const skeletonHeight = 260

/** A list of items such as keys or users. Shows a skeleton while they are loading, and an error if loading fails. */
export function List<Data>({ name, resource: { data, error, refetch }, empty, rows }: ListProps<Data>) {
  if (error !== undefined) return <Failure error={error} onRetry={refetch} />
  if (data === undefined) return <Skeleton height={skeletonHeight} />
  const shown = rows(data)
  if (shown.length === 0) return empty
  return (
    <ul class="settings-list" aria-label={name}>
      {shown}
    </ul>
  )
}

interface RowProps {
  title: ComponentChildren
  /** Shown next to the title, for example a state such as "expired". */
  badge?: ComponentChildren
  facts?: readonly Fact[]
  actions?: ComponentChildren
}

/** A label and a value. Long values are marked as `wide`. */
export type Fact = readonly [name: string, value: ComponentChildren, width?: "wide"]

export function Row({ title, badge, facts = [], actions }: RowProps) {
  return (
    <li class="settings-row">
      <div class="settings-head">
        <div class="settings-title">
          <h3>{title}</h3> {badge}
        </div>
        {actions && <div class="settings-actions">{actions}</div>}
      </div>
      {facts.length > 0 && <Facts facts={facts} />}
    </li>
  )
}

export function Facts({ facts }: { facts: readonly Fact[] }) {
  return (
    <dl class="settings-facts">
      {facts.map(([name, value, width]) => (
        <div key={name} class={width}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}
