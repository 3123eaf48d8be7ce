/**
 * Converts a pattern to a regular expression. `*` stands for one segment of a path, `**` for any number of segments.
 */
function expressionOf(pattern: string, end: string): RegExp {
  const source = pattern
    .replace(/[.+?^${}()|[\]\\]/g, "\\$&")
    .replace(/\*+/g, (stars) => (stars === "*" ? "[^/]+" : ".*"))
  return new RegExp(`^${source}${end}`)
}

/** Returns the patterns as strings. Accepts any value, because the page can set the option to any value. */
function listOf(patterns: unknown): string[] {
  return Array.isArray(patterns) ? patterns.map(String) : []
}

/** Returns true if a pattern matches the whole path. `/admin/**` also matches `/admin`. */
export function matchesPattern(path: string, patterns: unknown): boolean {
  return listOf(patterns).some((pattern) => {
    const expression = expressionOf(pattern, "$")
    return expression.test(path) || expression.test(`${path}/`)
  })
}

/**
 * Returns the masked path: if a pattern matches the start of the path, that part is replaced with the pattern. The
 * pattern `/users/*` changes `/users/7/posts` to `/users/*\/posts`.
 */
export function maskPath(path: string, patterns: unknown): string {
  for (const pattern of listOf(patterns)) {
    const masked = path.replace(expressionOf(pattern, "(?=/|$)"), () => pattern.replaceAll("**", "*"))
    if (masked !== path) return masked
  }
  return path
}
