/**
 * A regular expression for a pattern: `*` stands for one segment of a path, `**` for any number of segments.
 */
function expressionOf(pattern: string, end: string): RegExp {
  const source = pattern
    .replace(/[.+?^${}()|[\]\\]/g, "\\$&")
    .replace(/\*+/g, (stars) => (stars === "*" ? "[^/]+" : ".*"))
  return new RegExp(`^${source}${end}`)
}

/** The option can be anything that the page set. */
function listOf(patterns: unknown): string[] {
  return Array.isArray(patterns) ? patterns.map(String) : []
}

/** True if a pattern matches the whole path. `/admin/**` also matches `/admin`. */
export function matchesPattern(path: string, patterns: unknown): boolean {
  return listOf(patterns).some((pattern) => {
    const expression = expressionOf(pattern, "$")
    return expression.test(path) || expression.test(`${path}/`)
  })
}

/**
 * Replaces the start of a path that a pattern matches with the pattern: with `/users/*`, `/users/7/posts` becomes
 * `/users/*\/posts`.
 */
export function maskPath(path: string, patterns: unknown): string {
  for (const pattern of listOf(patterns)) {
    const masked = path.replace(expressionOf(pattern, "(?=/|$)"), () => pattern.replaceAll("**", "*"))
    if (masked !== path) return masked
  }
  return path
}
