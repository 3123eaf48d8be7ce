/** Rounds of percent-decoding: a name with a percent sign in it takes two, and no honest path eight. */
const mostRounds = 8

/** What may act as a slash, and what URL parsers drop. */
const separators = /[/\\]/
const dropped = /[\t\n\r]/g

/**
 * Whether a saved path (page and query, as the address bar shows them behind the website) stays behind the website, however often
 * it is decoded on its way: no segment is `.` or `..`, in any escape. Browsers take `%2e` for a dot.
 */
export function staysBelow(path: string): boolean {
  let [page = ""] = path.split("?", 1)
  for (let round = 0; round < mostRounds; round++) {
    const segments = page.replace(dropped, "").split(separators)
    if (segments.some((one) => one === "." || one === "..")) return false
    const decoded = page.replace(/%([0-9a-f]{2})/gi, (_, hex) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    if (decoded === page) return true
    page = decoded
  }
  return false
}

/** Saved paths of versions before 0.2 were checked less: one that leads out of the website opens the overview. */
export function safePath(path: string): string {
  return staysBelow(path) ? path : "overview"
}
