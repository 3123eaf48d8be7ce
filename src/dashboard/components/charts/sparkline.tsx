/** Size of the view box; the style sheet determines the size on the page. */
const width = 120
const height = 32

/**
 * A small line chart without axes. If the last value is incomplete, the last segment is dashed. The chart is hidden
 * from screen readers, which read the number instead.
 */
export function Sparkline({ values, isRunning }: { values: readonly number[]; isRunning: boolean }) {
  const max = Math.max(...values, 1)
  const step = values.length > 1 ? width / (values.length - 1) : width
  const points = values.map(
    (value, index) =>
      `${(index * step).toFixed(1)},${(height - 2 - (value / max) * (height - 4)).toFixed(1)}`,
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
