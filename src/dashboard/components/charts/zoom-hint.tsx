import type { ComponentChildren } from "preact"
import { useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"

interface ZoomHintProps {
  /** Shown the first time a mouse is over the chart. */
  text: string
  children: ComponentChildren
}

/** Explains, once per browser, how to zoom the chart with a mouse. There is no touch gesture for zooming. */
export function ZoomHint({ text, children }: ZoomHintProps) {
  const { preferences } = useApp()
  const [isShown, setShown] = useState(false)
  return (
    <div
      class="chart-hover"
      onPointerEnter={({ pointerType }) => {
        if (pointerType === "mouse" && preferences.chartHint.value) setShown(true)
      }}
      onPointerLeave={() => {
        if (isShown) preferences.chartHint.value = false
        setShown(false)
      }}
    >
      {children}
      {isShown && (
        <span class="chart-hint" aria-hidden="true">
          {text}
        </span>
      )}
    </div>
  )
}
