import type { ComponentChildren } from "preact"
import { Icon } from "../components/controls/icons.tsx"
import { Popover } from "../components/controls/popover.tsx"
import { Failure, Skeleton } from "../components/layout/states.tsx"
import type { Resource } from "../state/resource.ts"

interface ListProps<Answer> {
  /** What it lists, for those who do not see what stands around it. */
  name: string
  of: Resource<Answer>
  /** What stands there where there is nothing. */
  empty: ComponentChildren
  rows: (answer: Answer) => ComponentChildren[]
}

/** px of a skeleton: some rows. */
const expected = 260

/** Things to manage, one below the other. */
export function List<Answer>({ name, of: { data, error, again }, empty, rows }: ListProps<Answer>) {
  if (error !== undefined) return <Failure error={error} again={again} />
  if (data === undefined) return <Skeleton height={expected} />
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
  /** What state it is in, where that is not the usual one. */
  badge?: ComponentChildren
  facts?: readonly Fact[]
  actions?: ComponentChildren
}

/** `wide`: the value is long. */
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

interface MoreProps {
  /** Of what: “shop.example.com” */
  name: string
  choices: readonly { label: string; run: () => void }[]
}

/** What is done seldom. */
export function More({ name, choices }: MoreProps) {
  return (
    <Popover
      class="button small icon-only"
      name={`More for ${name}`}
      label={<Icon name="more" />}
      align="end"
    >
      {(close) => (
        <ul class="menu">
          {choices.map(({ label, run }) => (
            <li key={label}>
              <button
                type="button"
                onClick={() => {
                  close()
                  run()
                }}
              >
                {label}
              </button>
            </li>
          ))}
        </ul>
      )}
    </Popover>
  )
}
