import { useMemo } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { Format } from "../../state/format.ts"

/** How the person writes numbers, and times of the zone that is looked at. */
export function useFormat(): Format {
  const { locale, view } = useApp()
  const { zone } = view.value
  return useMemo(() => new Format(locale, zone), [locale, zone])
}
