import { useMemo } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { Format } from "../../state/format.ts"

/** Returns a formatter for the browser's locale and the view's time zone. */
export function useFormat(): Format {
  const { locale, view } = useApp()
  const { zone } = view.value
  return useMemo(() => new Format(locale, zone), [locale, zone])
}
