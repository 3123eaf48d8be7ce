import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { contrast, difference, lab, mix, parseHex, type Rgb, simulate } from "../support/color.ts"

const styles = await Bun.file(join(import.meta.dir, "../../src/dashboard/style/colors.css")).text()
const themes = ["light", "dark"] as const
type Theme = (typeof themes)[number]

/** A color of the style sheet: `--panel: light-dark(#ffffff, #191b1e)`, or a reference to another one. */
function colorOf(theme: Theme, name: string): Rgb {
  const value = new RegExp(`--${name}: (.+);`).exec(styles)?.[1] ?? ""
  const reference = /^var\(--([\w-]+)\)$/.exec(value)?.[1]
  if (reference) return colorOf(theme, reference)
  const [, light = "", dark = ""] = /^light-dark\((.+), (.+)\)$/.exec(value) ?? []
  return parseHex(theme === "light" ? light : dark)
}

/** Text colors, and the background colors on which they are used. */
const texts: readonly (readonly [text: string, grounds: readonly string[]])[] = [
  ["text", ["ground", "panel", "raised", "hover", "bar", "rest", "ramp-least", "ramp-most"]],
  ["muted", ["ground", "panel", "raised", "hover", "bar"]],
  ["accent", ["ground", "panel", "raised", "accent-soft"]],
  ["accent-text", ["accent", "shade-0"]],
  ["good", ["panel", "good-soft"]],
  ["fair", ["panel", "fair-soft"]],
  ["bad", ["panel", "raised", "bad-soft"]],
]
const series = [0, 1, 2, 3, 4, 5].map((index) => `shade-${index}`)
/** Colors of outlines and charts, for which a contrast of 3 is enough. */
const lines = [...series, "shade-other", "previous", "edge", "heat"]

const ratio = { text: 4.5, line: 3 }
/** Minimum difference in CIELAB lightness between any two series, and between neighbors in a stack. */
const lightnessStep = { any: 6, neighbors: 12 }
/** Minimum CIE76 difference between any two series, ten times a just noticeable one, for any color vision. */
const minDifference = 20

function pairsOf<Item>(items: readonly Item[]): [Item, Item][] {
  return items.flatMap((one, at) => items.slice(at + 1).map((other): [Item, Item] => [one, other]))
}

describe.each(themes)("the %s theme", (theme) => {
  const color = (name: string) => colorOf(theme, name)

  test.each(texts)("%s is readable on each of its backgrounds", (text, grounds) => {
    const unreadable = grounds.filter((ground) => contrast(color(text), color(ground)) < ratio.text)
    expect(unreadable).toEqual([])
  })

  test.each(lines)("%s is visible on a panel", (name) => {
    expect(contrast(color(name), color("panel"))).toBeGreaterThan(ratio.line)
  })

  test("the series differ in lightness, especially neighbors", () => {
    const lightness = series.map((name) => lab(color(name))[0])
    const steps = pairsOf(lightness).map(([one, other]) => Math.abs(one - other))
    expect(Math.min(...steps)).toBeGreaterThan(lightnessStep.any)
    const neighbors = lightness.slice(1).map((value, at) => Math.abs(value - (lightness[at] ?? 0)))
    expect(Math.min(...neighbors)).toBeGreaterThan(lightnessStep.neighbors)
  })

  const eyes = [
    { name: "full color vision", see: (seen: Rgb) => seen },
    ...(["deuteranopia", "protanopia", "tritanopia"] as const).map((deficiency) => ({
      name: deficiency,
      see: (seen: Rgb) => simulate(deficiency, seen),
    })),
  ]
  test.each(eyes)("the series can be told apart with $name", ({ see }) => {
    const close = pairsOf(series).filter(
      ([one, other]) => difference(see(color(one)), see(color(other))) < minDifference,
    )
    expect(close).toEqual([])
  })

  // Ramps of the retention heat map and of the world map.
  test.each(["ramp-most", "heat"])("each step of the ramp to %s is farther from the panel", (most) => {
    const steps = Array.from({ length: 11 }, (_, step) => mix(color(most), step / 10, color("ramp-least")))
    const distances = steps.map((step) => Math.abs(lab(step)[0] - lab(color("panel"))[0]))
    expect(distances).toEqual(distances.toSorted((a, b) => a - b))
    expect((distances.at(-1) ?? 0) - (distances[0] ?? 0)).toBeGreaterThan(24)
  })

  test("text is readable on each step of the ramp that contains text", () => {
    const steps = Array.from({ length: 11 }, (_, step) =>
      mix(color("ramp-most"), step / 10, color("ramp-least")),
    )
    expect(steps.filter((step) => contrast(color("text"), step) < ratio.text)).toEqual([])
  })
})
