import type { ComponentChildren } from "preact"
import { CodeBlock } from "./copy.tsx"
import { Dialog } from "./dialog.tsx"

interface SecretDialogProps {
  title: string
  /** The secret. */
  code: string
  /** Accessible name of the copy button, for example “Copy key”. */
  copyLabel: string
  children: ComponentChildren
  onClose: () => void
}

/** Shows a secret that cannot be shown again. */
export function SecretDialog({ title, code, copyLabel, children, onClose }: SecretDialogProps) {
  return (
    <Dialog title={title} onClose={onClose} closeLabel="Done" ignoresBackdrop>
      <div class="prose">{children}</div>
      <CodeBlock code={code} name={copyLabel} />
    </Dialog>
  )
}
