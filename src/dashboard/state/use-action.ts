import { useState } from "preact/hooks"
import { messageOf } from "../../errors.ts"
import { useApp } from "./app.ts"

/** Wraps the action of a button: ignores presses while the action runs, and shows a toast if the action fails. */
export function useAction(action: () => Promise<void>): { isBusy: boolean; run: () => Promise<void> } {
  const { toasts } = useApp()
  const [isBusy, setBusy] = useState(false)
  const run = async () => {
    if (isBusy) return
    setBusy(true)
    try {
      await action()
    } catch (error) {
      toasts.show(messageOf(error), "failed")
    }
    setBusy(false)
  }
  return { isBusy, run }
}
