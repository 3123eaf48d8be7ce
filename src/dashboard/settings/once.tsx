import type { ComponentChildren } from "preact"
import { CodeBlock } from "../parts/copy.tsx"
import { Dialog } from "../parts/dialog.tsx"

interface OnceProps {
  title: string
  /** The secret, which is shown in this one window. */
  code: string
  /** What copies it: “Copy the key”. */
  copy: string
  children: ComponentChildren
  onClose: () => void
}

/** What nobody can be shown again. */
export function Once({ title, code, copy, children, onClose }: OnceProps) {
  return (
    <Dialog title={title} onClose={onClose} isFirm>
      <div class="prose">{children}</div>
      <CodeBlock code={code} name={copy} />
      <div class="dialog-actions">
        <button type="button" class="button primary" onClick={onClose}>
          I have it
        </button>
      </div>
    </Dialog>
  )
}
