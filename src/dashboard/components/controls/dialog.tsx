import type { ComponentChildren } from "preact"
import { useEffect, useId, useLayoutEffect, useRef } from "preact/hooks"
import { Form } from "./form.tsx"

interface DialogProps {
  title: string
  onClose: () => void
  children: ComponentChildren
  class?: string
  /** Whether the dialog stays open when the backdrop is clicked. For content that cannot be shown again. */
  ignoresBackdrop?: boolean
  /** Label of a close button, for dialogs without other actions. */
  closeLabel?: string
}

/** A modal dialog. The browser keeps the focus inside the dialog, and closes the dialog on Escape. */
export function Dialog({
  title,
  onClose,
  children,
  class: className = "",
  ignoresBackdrop = false,
  closeLabel,
}: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  const previousFocus = useRef<Element>(null)
  // This is a layout effect, so that keys that are pressed right after the dialog opens go to the dialog.
  useLayoutEffect(() => {
    previousFocus.current = document.activeElement
    dialog.current?.showModal()
    dialog.current?.querySelector<HTMLElement>("[data-autofocus]")?.focus()
  }, [])
  useEffect(
    () => () => {
      if (previousFocus.current instanceof HTMLElement) previousFocus.current.focus()
    },
    [],
  )
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the keyboard equivalent of clicking the backdrop is Escape
    <dialog
      ref={dialog}
      class={`dialog ${className}`}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === dialog.current && !ignoresBackdrop) onClose()
      }}
    >
      <div class="dialog-body">
        <h2 id={id}>{title}</h2>
        {children}
        {closeLabel !== undefined && (
          <div class="dialog-actions">
            <button type="button" class="button primary" onClick={onClose}>
              {closeLabel}
            </button>
          </div>
        )}
      </div>
    </dialog>
  )
}

interface ConfirmProps {
  title: string
  /** What the action will do. */
  children: ComponentChildren
  /** Label of the confirm button, a verb. */
  action: string
  /** Whether the action can be undone. */
  isHarmless?: boolean
  /** Resolves when the action is done. If the promise rejects, the error is shown. */
  onConfirm: () => Promise<void>
  onClose: () => void
}

/** Asks for confirmation before an action. */
export function Confirm({ title, children, action, isHarmless, onConfirm, onClose }: ConfirmProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      <Form
        action={action}
        isDanger={!isHarmless}
        onCancel={onClose}
        onSubmit={async () => {
          await onConfirm()
          onClose()
        }}
      >
        <div class="prose">{children}</div>
      </Form>
    </Dialog>
  )
}
