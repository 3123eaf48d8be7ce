import { useMemo } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { Format } from "../../state/format.ts"

/** Formats numbers, and times in the view's zone, for the browser's locale. */
export function useFormat(): Format {
  const { locale, view } = useApp()
  const { zone } = view.value
  return useMemo(() => new Format(locale, zone), [locale, zone])
}
