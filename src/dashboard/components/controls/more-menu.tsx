import { Icon } from "./icons.tsx"
import { Popover } from "./popover.tsx"

interface MoreMenuProps {
  /** Name of the item: “shop.example.com” */
  name: string
  /** The button has no border. */
  isQuiet?: boolean
  actions: readonly { label: string; run: () => void }[]
}

/** A menu of the less common actions. */
export function MoreMenu({ name, isQuiet = false, actions }: MoreMenuProps) {
  return (
    <Popover
      class={`button small icon-only ${isQuiet ? "quiet" : ""}`}
      name={`More actions for ${name}`}
      label={<Icon name="more" />}
      align="end"
    >
      {(close) => (
        <ul class="menu">
          {actions.map(({ label, run }) => (
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
