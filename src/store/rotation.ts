/** How long the previous secret of a key or share link works after a rotation. */
export const overlaps = ["none", "1h", "1d", "7d"] as const
export type Overlap = (typeof overlaps)[number]

const hourMs = 3_600_000

/** Lengths of the overlaps in ms. */
const durations: Record<Exclude<Overlap, "none">, number> = {
  "1h": hourMs,
  "1d": 24 * hourMs,
  "7d": 7 * 24 * hourMs,
}

/** Returns the end of an overlap that starts at `now` (Unix ms), or null if there is no overlap. */
export function overlapEnd(overlap: Overlap, now: number): number | null {
  return overlap === "none" ? null : now + durations[overlap]
}
