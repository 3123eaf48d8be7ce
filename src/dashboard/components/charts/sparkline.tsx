/** px of the drawing's own grid; the style sheet says how large it is shown. */
const width = 120
const height = 32

/** The course of a number, without axes; dashed to a last value that is not the whole one yet. What it says stands beside it in words. */
export function Sparkline({ values, isRunning }: { values: readonly number[]; isRunning: boolean }) {
  const most = Math.max(...values, 1)
  const step = values.length > 1 ? width / (values.length - 1) : width
  const points = values.map(
    (value, index) =>
      `${(index * step).toFixed(1)},${(height - 2 - (value / most) * (height - 4)).toFixed(1)}`,
  )
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      aria-hidden="true"
      focusable="false"
    >
      {points.length > 1 && (
        <>
          <polygon points={`0,${height} ${points.join(" ")} ${width},${height}`} />
          <polyline points={points.slice(0, isRunning ? -1 : undefined).join(" ")} />
          {isRunning && <polyline class="running" points={points.slice(-2).join(" ")} />}
        </>
      )}
    </svg>
  )
}
