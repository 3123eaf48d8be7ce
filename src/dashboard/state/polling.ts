import { useEffect } from "preact/hooks"

/**
 * Calls `poll` immediately, every `interval` ms, and when the page becomes visible, but not while the page is hidden.
 * When one of `inputs` changes, aborts the signal of earlier calls and starts over.
 */
export function usePolling(
  poll: (signal: AbortSignal) => Promise<void>,
  interval: number,
  inputs: readonly unknown[],
): void {
  useEffect(() => {
    const controller = new AbortController()
    const pollIfVisible = () => {
      if (!document.hidden) void poll(controller.signal)
    }
    pollIfVisible()
    const timer = setInterval(pollIfVisible, interval)
    document.addEventListener("visibilitychange", pollIfVisible)
    return () => {
      controller.abort()
      clearInterval(timer)
      document.removeEventListener("visibilitychange", pollIfVisible)
    }
  }, inputs)
}
