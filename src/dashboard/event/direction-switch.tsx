import { useApp } from "../state/app.ts"
import { isSingleWebsite, type Site } from "../state/session.ts"
import { useAction } from "../state/use-action.ts"

/**
 * A button that marks lower counts of an event as better, so that decreases are shown as good and increases as bad.
 * Shown only to owners, and only for a single website.
 */
export function DirectionSwitch({ name }: { name: string }) {
  const { api, session, toasts, view } = useApp()
  const { website } = view.value
  const isLower = session.isLowerBetter(website, name)
  const { isBusy, run } = useAction(async () => {
    const path = `websites/${encodeURIComponent(website)}`
    // Reads the current list, because someone else might have changed it since the page loaded.
    const { lowerIsBetter } = (await api.get<{ website: Site }>(path)).website
    const others = lowerIsBetter.filter((other) => other !== name)
    await api.send("PATCH", path, { lowerIsBetter: isLower ? others : [...others, name] })
    await session.loadSites()
    toasts.show(isLower ? `Changes in ${name} are neutral` : `Lower is better for ${name}`)
  })
  if (!session.isOwner || !isSingleWebsite(website)) return null
  return (
    <button
      type="button"
      class="button"
      aria-pressed={isLower}
      aria-disabled={isBusy}
      title="Show decreases as good and increases as bad. Otherwise, changes are neutral."
      onClick={run}
    >
      {isLower && <span aria-hidden="true">✓ </span>}Mark as lower is better
    </button>
  )
}
