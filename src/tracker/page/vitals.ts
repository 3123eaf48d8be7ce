import { type MetricType, onCLS, onFCP, onINP, onLCP, onTTFB } from "web-vitals"
import type { Host } from "./plugin.ts"

/** How long to count frames, in ms. */
const frameTime = 2_000

/**
 * Reports each metric once: FCP, LCP and TTFB per page load, and CLS, INP and FPS per route. Browsers that do not
 * support soft navigations measure CLS and INP for the whole page load. Returns a function that must be called at the
 * start of each view.
 */
export function start({ add, path }: Host): () => void {
  const reported = new Set<string>()
  const report = (metricName: string, value: number, pathname: string): void => {
    // CLS needs four decimal places.
    add("/vitals", { metricName, metricValue: Math.round(value * 10_000) / 10_000, path: pathname })
  }
  const reportMetric = ({ id, name, value, navigationURL }: MetricType): void => {
    // web-vitals calls this function again if a value changes after the page was hidden.
    if (reported.has(id)) return
    reported.add(id)
    report(name, value, path(navigationURL))
  }
  onFCP(reportMetric)
  onLCP(reportMetric)
  onTTFB(reportMetric)
  onCLS(reportMetric, { reportSoftNavs: true })
  onINP(reportMetric, { reportSoftNavs: true })

  let route = 0
  const measureFrames = (): void => {
    const pathname = path()
    const current = ++route
    let frames = 0
    let first = 0
    const frame = (time: number): void => {
      // The route has changed, or the page is hidden and renders no frames.
      if (current !== route || document.visibilityState === "hidden") return
      first ||= time
      if (time - first < frameTime) {
        frames++
        requestAnimationFrame(frame)
      } else report("FPS", (frames * 1_000) / (time - first), pathname)
    }
    requestAnimationFrame(frame)
  }
  measureFrames()
  return measureFrames
}
