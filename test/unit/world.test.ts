import { expect, test } from "bun:test"
import { worldOutlines } from "../../src/dashboard/web/world.ts"

const outlines = worldOutlines()

/** Names on the map that differ from those of Unicode's CLDR, which the API uses. */
const otherNames: Record<string, string> = {
  BA: "Bosnia and Herz.",
  CD: "Dem. Rep. Congo",
  CF: "Central African Rep.",
  CG: "Congo",
  CI: "Côte d'Ivoire",
  DO: "Dominican Rep.",
  EH: "W. Sahara",
  FK: "Falkland Is.",
  GQ: "Eq. Guinea",
  MK: "Macedonia",
  MM: "Myanmar",
  PS: "Palestine",
  SB: "Solomon Is.",
  SS: "S. Sudan",
  SZ: "eSwatini",
  TF: "Fr. S. Antarctic Lands",
  TR: "Turkey",
  TT: "Trinidad and Tobago",
  US: "United States of America",
}

test("every country on the map has the code that the API uses for it", () => {
  const names = new Intl.DisplayNames("en", { type: "region" })
  const wrong = outlines.filter(
    ({ code, name }) => code !== undefined && (otherNames[code] ?? names.of(code)) !== name,
  )
  expect(wrong.map(({ code, name }) => `${code} ${name}`)).toEqual([])
  const withoutCode = outlines.filter(({ code }) => code === undefined)
  expect(withoutCode.map(({ name }) => name)).toEqual(["N. Cyprus", "Somaliland"])
})

test("no outline crosses the map from one edge to the other", () => {
  const crossing = outlines.filter(({ path }) =>
    path.split("M").some((ring) => {
      const xs = ring.split("L").map((point) => Number.parseFloat(point))
      return xs.some((x, at) => Math.abs(x - (xs[at - 1] ?? x)) > 360)
    }),
  )
  expect(crossing.map(({ name }) => name)).toEqual([])
})
