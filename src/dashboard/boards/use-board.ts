import { useState } from "preact/hooks"
import { useApp } from "../state/app.ts"
import type { Board } from "../state/boards.ts"
import { useResource } from "../state/resource.ts"

/** A board, or the progress of loading it. */
export interface LoadedBoard {
  board: Board | undefined
  error: unknown
  refetch: () => void
  /**
   * Changes the board. Rejects if someone else has changed the board since it was loaded. After any failure, the board
   * is reloaded.
   */
  change: (changes: Partial<Pick<Board, "name" | "tiles">>) => Promise<void>
}

export function useBoard(id: string): LoadedBoard {
  const { api } = useApp()
  const path = `boards/${encodeURIComponent(id)}`
  const { data, error, refetch } = useResource<{ board: Board }>(path)
  const [changed, setChanged] = useState<Board>()
  const isNewer = changed?.id === id && changed.revision > (data?.board.revision ?? 0)
  const board = isNewer ? changed : data?.board
  return {
    board,
    error,
    refetch,
    change: async (changes) => {
      try {
        const body = { ...changes, revision: board?.revision }
        setChanged((await api.send<{ board: Board }>("PATCH", path, body)).board)
      } catch (failure) {
        refetch()
        throw failure
      }
    },
  }
}

/** Returns the website of a board as it is written in the URL (an ID, `none` or `all`). */
export function placeIn({ websiteId }: Pick<Board, "websiteId">): string {
  return websiteId ?? "all"
}
