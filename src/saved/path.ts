/**
 * Maximum number of times a path is percent-decoded. A path that contains a name with a percent sign is decoded twice.
 * Only attacks need more.
 */
const maxRounds = 8

/** Characters that URL parsers treat as a slash, and characters that they remove. */
const separators = /[/\\]/
const dropped = /[\t\n\r]/g

/**
 * Returns true if a saved path (page and query, relative to the website) cannot leave the website, however often it is
 * decoded: it contains no `.` or `..` segment in any encoding. For browsers, `%2e` is a dot.
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

/** Returns the page of a path, which is its first segment after decoding, or '' if there is none. */
export function pageOf(path: string): string {
  const [segment = ""] = path.split(/[/?]/, 1)
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** Replaces an unsafe path, which versions before 0.2 could save, with the path of the overview. */
export function safePath(path: string): string {
  return staysBelow(path) ? path : "overview"
}
