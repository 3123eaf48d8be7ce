import { useAnnotations } from "../../state/annotations.ts"
import { useApp } from "../../state/app.ts"
import { annotationsSince } from "../../state/range.ts"
import { lazyPanel } from "./lazy-page.tsx"

const Findings = lazyPanel(async () => (await import("./findings.tsx")).Findings)

/**
 * Shows whether errors and web vitals have improved or worsened since an annotation, such as a release. Rendered only
 * if there is a comparison, and the range consists of custom dates that start on the date of an annotation. The link
 * "Compare before and after" selects such dates.
 */
export function BeforeAfter() {
  const { session, view, embed } = useApp()
  const { compare, range } = view.value
  const { first, later } = annotationsSince(useAnnotations(), range)
  const canOpen = session.canOpen("errors") && session.canOpen("vitals")
  if (!compare || first.length === 0 || !canOpen || embed?.chart !== undefined) return null
  return <Findings first={first} later={later} />
}
