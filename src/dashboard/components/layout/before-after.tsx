import { useAnnotations } from "../../state/annotations.ts"
import { useApp } from "../../state/app.ts"
import { annotationsSince } from "../../state/range.ts"
import { lazyPanel } from "./lazy-page.tsx"

const Findings = lazyPanel(async () => (await import("./findings.tsx")).Findings)

/**
 * Shows whether errors and web vitals are better or worse since an annotation, such as a release. Rendered for custom
 * dates that start on an annotation's date, as "Compare before and after" sets them.
 */
export function BeforeAfter() {
  const { session, view, embed } = useApp()
  const { compare, range } = view.value
  const { first, later } = annotationsSince(useAnnotations(), range)
  const canOpen = session.canOpen("errors") && session.canOpen("vitals")
  if (!compare || first.length === 0 || !canOpen || embed?.chart !== undefined) return null
  return <Findings first={first} later={later} />
}
