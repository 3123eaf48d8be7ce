/** Maximum rounds of percent-decoding. A name with a percent sign needs two; only attacks need more. */
const maxRounds = 8

/** Characters that URL parsers treat as a slash, and characters that they drop. */
const separators = /[/\\]/
const dropped = /[\t\n\r]/g

/**
 * True if a saved path (page and query, relative to the website) stays within the website, however often it is decoded:
 * it has no `.` or `..` segment in any encoding. Browsers read `%2e` as a dot.
 */
export function staysBelow(path: string): boolean {
  let [page = ""] = path.split("?", 1)
  for (let round = 0; round < maxRounds; round++) {
    const segments = page.replace(dropped, "").split(separators)
    if (segments.some((segment) => segment === "." || segment === "..")) return false
    const decoded = page.replace(/%([0-9a-f]{2})/gi, (_, hex) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    if (decoded === page) return true
    page = decoded
  }
  return false
}

/** The page of a path: its first segment, decoded; '' for none. */
export function pageOf(path: string): string {
  const [segment = ""] = path.split(/[/?]/, 1)
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** Replaces an unsafe path, which versions before 0.2 could save, with the overview. */
export function safePath(path: string): string {
  return staysBelow(path) ? path : "overview"
}
