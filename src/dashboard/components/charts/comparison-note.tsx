import { useApp } from "../../state/app.ts"
import type { Answered } from "../../state/use-query.ts"
import { useFormat } from "../controls/use-format.ts"

interface AgainstProps {
  answered: Answered
  /** The parameter whose rows are compared. */
  of: string
}

/** Says which time the numbers beside it are compared with; until that is known its place is kept. */
export function ComparisonNote({ answered, of }: AgainstProps) {
  const { view } = useApp()
  const format = useFormat()
  if (!view.value.compare) return null
  const previous = answered.meta(of)?.previous
  return <p class="against">{previous ? `Compared with ${format.period(previous)}` : "\u00a0"}</p>
}
