import type { ComponentChildren } from "preact"
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks"
import { messageOf } from "../../state/api.ts"

interface DialogProps {
  title: string
  onClose: () => void
  children: ComponentChildren
  class?: string
  /** A click beside it does not close it: what it shows is shown once. */
  isFirm?: boolean
  /** What the button says that closes it, where there is nothing else to do. */
  closing?: string
}

/** A window above the page; the browser keeps the focus in it and closes it by Escape. */
export function Dialog({ title, onClose, children, class: look = "", isFirm = false, closing }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  const before = useRef<Element>(null)
  // At once: keys that are pressed right after the one that opened it are meant for it.
  useLayoutEffect(() => {
    before.current = document.activeElement
    dialog.current?.showModal()
    dialog.current?.querySelector<HTMLElement>("[data-autofocus]")?.focus()
  }, [])
  useEffect(
    () => () => {
      if (before.current instanceof HTMLElement) before.current.focus()
    },
    [],
  )
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a click beside the window closes it, as Escape does
    <dialog
      ref={dialog}
      class={`dialog ${look}`}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === dialog.current && !isFirm) onClose()
      }}
    >
      <div class="dialog-body">
        <h2 id={id}>{title}</h2>
        {children}
        {closing !== undefined && (
          <div class="dialog-actions">
            <button type="button" class="button primary" onClick={onClose}>
              {closing}
            </button>
          </div>
        )}
      </div>
    </dialog>
  )
}

interface ConfirmProps {
  title: string
  /** What will happen, plainly. */
  children: ComponentChildren
  /** What the button says: what it does. */
  action: string
  /** It can be taken back. */
  isHarmless?: boolean
  /** Resolves when it is done; what it rejects with is shown. */
  onConfirm: () => Promise<void>
  onClose: () => void
}

/** A plain question before what one may regret. */
export function Confirm({ title, children, action, isHarmless, onConfirm, onClose }: ConfirmProps) {
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState("")
  const confirm = async () => {
    if (isBusy) return
    setBusy(true)
    try {
      await onConfirm()
      onClose()
    } catch (failure) {
      setError(messageOf(failure))
      setBusy(false)
    }
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="prose">{children}</div>
      {error && (
        <p class="form-error" role="alert">
          {error}
        </p>
      )}
      <div class="dialog-actions">
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <button
          type="button"
          class={`button ${isHarmless ? "primary" : "danger"}`}
          aria-disabled={isBusy}
          onClick={confirm}
        >
          {action}
        </button>
      </div>
    </Dialog>
  )
}
