import { useState } from "preact/hooks"
import { messageOf } from "../state/api.ts"
import { useApp } from "../state/app.ts"
import { isSingleWebsite, type Site } from "../state/session.ts"

/** Marks an event as one of which fewer are better: its decrease is shown as good, and its increase as bad. Only for owners. */
export function DirectionSwitch({ name }: { name: string }) {
  const { api, session, toasts, view } = useApp()
  const [isBusy, setBusy] = useState(false)
  const { website } = view.value
  if (!session.isOwner || !isSingleWebsite(website)) return null
  const isLower = session.isLowerBetter(website, name)
  const toggle = async () => {
    if (isBusy) return
    setBusy(true)
    try {
      const path = `websites/${encodeURIComponent(website)}`
      // The list as it is now: somebody else can have changed it since the page loaded.
      const { lowerIsBetter } = (await api.get<{ website: Site }>(path)).website
      const others = lowerIsBetter.filter((other) => other !== name)
      await api.send("PATCH", path, { lowerIsBetter: isLower ? others : [...others, name] })
      await session.loadSites()
      toasts.show(isLower ? `Changes of ${name} are neutral` : `Fewer ${name} are better`)
    } catch (error) {
      toasts.show(messageOf(error), "failed")
    }
    setBusy(false)
  }
  return (
    <button
      type="button"
      class="button"
      aria-pressed={isLower}
      aria-disabled={isBusy}
      title="Shows a decrease as good and an increase as bad. Otherwise changes are neutral."
      onClick={toggle}
    >
      {isLower ? "✓ " : ""}Lower is better
    </button>
  )
}
