import type { ComponentChildren } from "preact"
import { CodeBlock } from "./copy.tsx"
import { Dialog } from "./dialog.tsx"

interface OnceProps {
  title: string
  /** The secret, which is shown in this one window. */
  code: string
  /** What copies it: “Copy the key”. */
  copy: string
  /** What the button says that closes it. */
  closing?: string
  children: ComponentChildren
  onClose: () => void
}

/** What nobody can be shown again. */
export function SecretDialog({ title, code, copy, closing = "I have it", children, onClose }: OnceProps) {
  return (
    <Dialog title={title} onClose={onClose} closing={closing} isFirm>
      <div class="prose">{children}</div>
      <CodeBlock code={code} name={copy} />
    </Dialog>
  )
}
