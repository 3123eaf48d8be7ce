import { useEffect, useRef, useState } from "preact/hooks"
import { Icon } from "../components/controls/icons.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Empty, Failure } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { isolate } from "../state/bidi.ts"
import { usePolling } from "../state/polling.ts"
import { BoardGrid } from "./board-grid.tsx"
import { type LoadedBoard, placeIn } from "./use-board.ts"

/** ms between updates. */
const interval = 60_000

/** A full-screen board without navigation. While visible, it updates itself every minute. */
export function Wallboard({ loaded }: { loaded: LoadedBoard }) {
  const app = useApp()
  const { router, session, view, embed } = app
  const format = useFormat()
  const { board, error, refetch } = loaded
  const { version, updatedAt } = useUpdates(refetch)
  const exit = () => router.setParams({ mode: undefined }, "replace")
  useExitKeys(embed ? undefined : exit)
  useWakeLock()
  const { range, website } = view.value
  const title = board?.name ?? "Board"
  useEffect(() => {
    document.title = `${isolate(title)} · Databuddy`
  }, [title])
  return (
    <main class="wallboard" id="main">
      <header class="wallboard-head">
        <h1>{title}</h1>
        <p>
          {session.nameOf(website)} · {format.days(range.from, range.to)}
        </p>
        <p class="wallboard-updated">Updated {format.clock(new Date(updatedAt).toISOString())}</p>
        {!embed && (
          <button type="button" class="button small quiet" onClick={exit}>
            <Icon name="close" /> Exit
          </button>
        )}
      </header>
      {board ? (
        board.tiles.length > 0 ? (
          <BoardGrid tiles={board.tiles} website={placeIn(board)} version={version} />
        ) : (
          <Empty title="No tiles yet" />
        )
      ) : (
        Boolean(error) && <Failure error={error} onRetry={refetch} />
      )}
    </main>
  )
}

/**
 * Updates the wallboard periodically. Each update increments `version`, reloads the board, and moves the view to the
 * current day.
 */
function useUpdates(refetch: () => void): { version: number; updatedAt: number } {
  const app = useApp()
  const [state, setState] = useState(() => ({ version: 0, updatedAt: app.now() }))
  const isFirst = useRef(true)
  usePolling(
    async () => {
      // Skips the first update, because the page has just loaded everything.
      if (isFirst.current) {
        isFirst.current = false
        return
      }
      app.refresh()
      refetch()
      setState(({ version }) => ({ version: version + 1, updatedAt: app.now() }))
    },
    interval,
    [],
  )
  return state
}

/** Calls `exit` when Escape is pressed or full screen ends. `exit` is undefined if the page is embedded. */
function useExitKeys(exit: (() => void) | undefined): void {
  useEffect(() => {
    if (!exit) return
    const onKey = ({ key }: KeyboardEvent) => {
      if (key === "Escape") exit()
    }
    const onFullscreen = () => {
      if (!document.fullscreenElement) exit()
    }
    document.addEventListener("keydown", onKey)
    document.addEventListener("fullscreenchange", onFullscreen)
    return () => {
      document.removeEventListener("keydown", onKey)
      document.removeEventListener("fullscreenchange", onFullscreen)
      if (document.fullscreenElement) void document.exitFullscreen()
    }
  }, [])
}

/** Keeps the screen on while the page is visible, if the browser supports it. */
function useWakeLock(): void {
  useEffect(() => {
    let lock: WakeLockSentinel | undefined
    let isOver = false
    const request = () => {
      // `navigator.wakeLock` does not exist without HTTPS, although its DOM type says otherwise. The browser can reject
      // the request, for example when the battery is low.
      if (document.hidden || !("wakeLock" in navigator)) return
      navigator.wakeLock.request("screen").then(
        (granted) => {
          lock = granted
          if (isOver) void granted.release()
        },
        () => {},
      )
    }
    request()
    document.addEventListener("visibilitychange", request)
    return () => {
      isOver = true
      document.removeEventListener("visibilitychange", request)
      void lock?.release()
    }
  }, [])
}
