/** Variables that child processes inherit. The last two are set by test/dates.ts, which fakes the time. */
const inherited = ["PATH", "TMPDIR", "TZ", "LD_PRELOAD", "CLOCK_FILE"]

/** The environment of a child process: `more`, and nothing else from the developer's shell. */
export function environment(more: Record<string, string> = {}): Record<string, string> {
  const variables = inherited.flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return { ...Object.fromEntries(variables), ...more }
}
