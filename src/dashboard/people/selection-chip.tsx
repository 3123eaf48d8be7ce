import { Icon } from "../components/controls/icons.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { noSelection, type Selection, selectionText } from "../components/people/selection.ts"
import { useApp } from "../state/app.ts"
import { isolate } from "../state/bidi.ts"

/** Describes the selection that limits the list. Has a button that removes the selection. */
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
