/**
 * Runs `work`. Returns the longest CPU time that this thread spent without running a timer, and its total CPU time, in
 * ms. Does not count the time that the thread waits for a core, so a busy machine does not affect the result.
 */
export async function timeEventLoop(
  work: () => Promise<unknown>,
): Promise<{ longest: number; total: number }> {
  const start = threadMs()
  let [last, longest] = [start, 0]
  const tick = () => {
    const now = threadMs()
    longest = Math.max(longest, now - last)
    last = now
  }
  const timer = setInterval(tick, 1)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  // No timer runs if `work` never pauses: the longest step then ends here.
  tick()
  return { longest, total: last - start }
}

/** CPU time of this thread, in ms. */
export function threadMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}
