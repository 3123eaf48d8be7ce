/** PATH and TMPDIR, which no program can do without, and the machine's zone. The others are those of test/dates.ts, which fakes the time. */
const inherited = ["PATH", "TMPDIR", "TZ", "LD_PRELOAD", "CLOCK_FILE"]

/** The environment of a process that a test starts: `more`, and nothing else that the developer's shell happens to set. */
export function environment(more: Record<string, string> = {}): Record<string, string> {
  const variables = inherited.flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return { ...Object.fromEntries(variables), ...more }
}
