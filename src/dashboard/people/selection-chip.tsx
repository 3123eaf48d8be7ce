import { Icon } from "../components/controls/icons.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { noSelection, type Selection, selectionText } from "../components/people/selection.ts"
import { useApp } from "../state/app.ts"
import { isolate } from "../state/bidi.ts"

/** The selection that limits the list, and a button to remove it. */
export function SelectionChip({ selection }: { selection: Selection }) {
  const { router } = useApp()
  const text = selectionText(selection, useFormat())
  return (
    <span class="chip people-selection">
      <span class="chip-text" title={text}>
        {text}
      </span>
      <button
        type="button"
        class="chip-close"
        aria-label={`Remove selection: ${isolate(text)}`}
        onClick={() => router.setParams(noSelection)}
      >
        <Icon name="close" />
      </button>
    </span>
  )
}
