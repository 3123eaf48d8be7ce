import world from "world-atlas/countries-110m.json"

// Country outlines from Natural Earth at 1:110 million (public domain), as TopoJSON.

/**
 * Maps the ISO 3166 number of each country, which is the country's ID in the map data, to the two-letter code that the
 * API uses. Kosovo has no number and is identified by its name.
 */
const isoCodes = `
  004AF 008AL 010AQ 012DZ 024AO 031AZ 032AR 036AU 040AT 044BS 050BD 051AM 056BE 064BT 068BO 070BA 072BW 076BR 084BZ 090SB 096BN 100BG
  104MM 108BI 112BY 116KH 120CM 124CA 140CF 144LK 148TD 152CL 156CN 158TW 170CO 178CG 180CD 188CR 191HR 192CU 196CY 203CZ 204BJ 208DK
  214DO 218EC 222SV 226GQ 231ET 232ER 233EE 238FK 242FJ 246FI 250FR 260TF 262DJ 266GA 268GE 270GM 275PS 276DE 288GH 300GR 304GL 320GT
  324GN 328GY 332HT 340HN 348HU 352IS 356IN 360ID 364IR 368IQ 372IE 376IL 380IT 384CI 388JM 392JP 398KZ 400JO 404KE 408KP 410KR 414KW
  417KG 418LA 422LB 426LS 428LV 430LR 434LY 440LT 442LU 450MG 454MW 458MY 466ML 478MR 484MX 496MN 498MD 499ME 504MA 508MZ 512OM 516NA
  524NP 528NL 540NC 548VU 554NZ 558NI 562NE 566NG 578NO 586PK 591PA 598PG 600PY 604PE 608PH 616PL 620PT 624GW 626TL 630PR 634QA 642RO
  643RU 646RW 682SA 686SN 688RS 694SL 703SK 704VN 705SI 706SO 710ZA 716ZW 724ES 728SS 729SD 732EH 740SR 748SZ 752SE 756CH 760SY 762TJ
  764TH 768TG 780TT 784AE 788TN 792TR 795TM 800UG 804UA 807MK 818EG 826GB 834TZ 840US 854BF 858UY 860UZ 862VE 887YE 894ZM KosovoXK`

export interface Outline {
  /** Two-letter ISO 3166 code. Undefined for territories without a code. */
  code: string | undefined
  name: string
  /** SVG path data on a map of 720 × 368 units. */
  path: string
}

/**
 * Map units per degree: 2 for longitude, 2.6 for latitude, on a map of 720 × 368. Shapes are not distorted at 40° north
 * and south.
 */
const [unitsEast, unitsNorth] = [2, 2.6]
const width = 360 * unitsEast
/** Latitude of the northern edge. The southern edge is at 57° south, so Antarctica is left out. */
const north = 84
const antarctica = "AQ"

/** The arcs of a geometry: a ring (a list of arc indexes), a polygon (a list of rings) or a list of polygons. */
type Arcs = readonly (number | Arcs)[]

/** The outlines of all countries except Antarctica. */
export function worldOutlines(): Outline[] {
  const codes = new Map(
    isoCodes
      .trim()
      .split(/\s+/)
      .map((code) => [code.slice(0, -2), code.slice(-2)]),
  )
  const arcs = world.arcs.map(pointsOf)
  return world.objects.countries.geometries
    .map((geometry) => ({
      code: codes.get(geometry.id ?? geometry.properties.name),
      name: geometry.properties.name,
      path: ringsOf(geometry.arcs)
        .map((ring) => pathOf(ring, arcs))
        .join(""),
    }))
    .filter(({ code }) => code !== antarctica)
}

/** A point on the map, in map units east and south of the northwest corner. */
type Point = readonly [x: number, y: number]

/** The points of an arc. TopoJSON stores each point as an offset from the previous one. */
function pointsOf(arc: readonly (readonly number[])[]): Point[] {
  const [scaleX = 1, scaleY = 1] = world.transform.scale
  const [left = 0, bottom = 0] = world.transform.translate
  let [x, y] = [0, 0]
  return arc.map(([stepX = 0, stepY = 0]) => {
    x += stepX
    y += stepY
    return [(x * scaleX + left + 180) * unitsEast, (north - (y * scaleY + bottom)) * unitsNorth]
  })
}

function ringsOf(arcs: Arcs): number[][] {
  const numbers = arcs.filter((arc) => typeof arc === "number")
  return numbers.length > 0
    ? [numbers]
    : arcs.flatMap((inner) => (typeof inner === "number" ? [] : ringsOf(inner)))
}

/** Returns the path data of a ring. A negative index refers to the arc `~index` in reverse. */
function pathOf(ring: readonly number[], arcs: readonly (readonly Point[])[]): string {
  const points = unwrap(
    ring.flatMap((index) => (index < 0 ? (arcs[~index] ?? []).toReversed() : (arcs[index] ?? []))),
  )
  const xs = points.map(([x]) => x)
  // A ring that crosses the 180th meridian is drawn on both sides. The edges of the image clip both copies.
  const shifts = [0, ...(Math.max(...xs) > width ? [-width] : []), ...(Math.min(...xs) < 0 ? [width] : [])]
  return shifts
    .map((shift) => `M${points.map(([x, y]) => `${(x + shift).toFixed(1)} ${y.toFixed(1)}`).join("L")}Z`)
    .join("")
}

/** Unwraps a ring that crosses the 180th meridian, where its points jump from one edge of the map to the other. */
function unwrap(points: readonly Point[]): Point[] {
  let shift = 0
  let last: number | undefined
  return points.map(([x, y]) => {
    const jump = x - (last ?? x)
    if (Math.abs(jump) > width / 2) shift -= Math.sign(jump) * width
    last = x
    return [x + shift, y]
  })
}
