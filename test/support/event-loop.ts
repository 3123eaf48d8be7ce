/** Runs `work`. Returns the longest time in which the event loop ran no timer, and the whole time, in ms. */
export async function timeEventLoop(
  work: () => Promise<unknown>,
): Promise<{ longest: number; total: number }> {
  const start = performance.now()
  let [last, longest] = [start, 0]
  const tick = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
  }
  const timer = setInterval(tick, 1)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  // No timer runs if `work` never pauses: the longest gap then ends here.
  tick()
  return { longest, total: last - start }
}
