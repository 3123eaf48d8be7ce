import type uPlot from "uplot"
import { type ChartData, shades } from "./series.ts"

/** The tooltip of the date under the pointer. */
export class Tooltip {
  readonly element = document.createElement("div")

  constructor(private readonly latest: { current: ChartData }) {
    this.element.className = "chart-tip"
    this.element.hidden = true
  }

  show(chart: uPlot): void {
    const { idx, left = -1 } = chart.cursor
    const { dates, series, granularity, format, value, marks = [] } = this.latest.current
    const date = idx === null || idx === undefined ? undefined : dates[idx]
    this.element.hidden = date === undefined || left < 0
    if (date === undefined || idx === null || idx === undefined) return
    const title = document.createElement("strong")
    title.textContent = format.bucket(date, granularity)
    const lines = series.map((item, index) => {
      const line = document.createElement("div")
      line.className = item.isPrevious ? "previous" : `shade-${index % shades}`
      const name = document.createElement("span")
      name.textContent = item.name
      const number = document.createElement("b")
      const shown = item.values[idx]
      number.textContent = shown === undefined ? "–" : value(shown)
      line.append(name, number)
      return line
    })
    const notes = marks
      .filter(({ at }) => at === idx)
      .map(({ text }) => {
        const line = document.createElement("em")
        line.textContent = text
        return line
      })
    this.element.replaceChildren(title, ...lines, ...notes)
    const isRight = left > chart.over.clientWidth / 2
    this.element.style.left = isRight ? "" : `${left + 14}px`
    this.element.style.right = isRight ? `${chart.over.clientWidth - left + 14}px` : ""
  }
}
