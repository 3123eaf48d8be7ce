import { isolate } from "../../state/bidi.ts"
import { Icon, type IconName } from "./icons.tsx"
import { Popover } from "./popover.tsx"

export interface MenuAction {
  label: string
  icon?: IconName
  isDisabled?: boolean
  run: () => void
}

interface MoreMenuProps {
  /** The item's name, for example “shop.example.com”. */
  name: string
  /** Whether to omit the button's border. */
  isQuiet?: boolean
  actions: readonly MenuAction[]
}

/** A menu of less common actions. */
export function MoreMenu({ name, isQuiet = false, actions }: MoreMenuProps) {
  return (
    <Popover
      class={`button small icon-only ${isQuiet ? "quiet" : ""}`}
      name={`More actions for ${isolate(name)}`}
      label={<Icon name="more" />}
      align="end"
    >
      {(close) => (
        <ul class="menu">
          {actions.map(({ label, icon, isDisabled = false, run }) => (
            <li key={label}>
              <button
                type="button"
                class={icon && "with-icon"}
                disabled={isDisabled}
                onClick={() => {
                  close()
                  run()
                }}
              >
                {icon && <Icon name={icon} />}
                {label}
              </button>
            </li>
          ))}
        </ul>
      )}
    </Popover>
  )
}
