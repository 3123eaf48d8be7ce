import { useState } from "preact/hooks"
import type { Overlap } from "../../store/rotation.ts"
import { Confirm } from "../components/controls/dialog.tsx"
import { Select } from "../components/controls/select.tsx"

const overlapTexts: Record<Overlap, string> = {
  none: "Immediately",
  "1h": "After 1 hour",
  "1d": "After 1 day",
  "7d": "After 7 days",
}

interface RotateProps {
  /** Name of the key or link. */
  name: string
  /** What is being replaced: “secret” or “link”. */
  what: string
  onClose: () => void
  onConfirm: (overlap: Overlap) => Promise<void>
}

/** Asks how long the old secret of a key, or the old URL of a share link, should keep working after a rotation. */
export function RotateDialog({ name, what, onClose, onConfirm }: RotateProps) {
  const [overlap, setOverlap] = useState<Overlap>("none")
  return (
    <Confirm title={`Rotate ${name}?`} action="Rotate" onClose={onClose} onConfirm={() => onConfirm(overlap)}>
      <div class="form">
        <p>
          This will create a new {what}, which will be shown only once. The name and permissions will not
          change.
        </p>
        <label class="field">
          The old {what} stops working
          <Select
            value={overlap}
            options={Object.entries(overlapTexts).map(([value, label]) => ({ value, label }))}
            // The type assertion is safe because the option values are overlaps.
            onChange={(value) => setOverlap(value as Overlap)}
          />
          <small>If an even older {what} still works, it will stop working immediately.</small>
        </label>
      </div>
    </Confirm>
  )
}
