import { useEffect, useState } from "preact/hooks"
import { useApp } from "./app.ts"

/** The response to a GET request, or the progress of loading it. */
export interface Resource<Data> {
  data: Data | undefined
  error: unknown
  isLoading: boolean
  /** Repeats the request. The current data stays until new data arrives. */
  refetch: () => void
}

/** Fetches a path under /v1. Fetches nothing if the path is undefined, and fetches again when `version` changes. */
export function useResource<Data>(path: string | undefined, version = 0): Resource<Data> {
  const { api } = useApp()
  const [state, setState] = useState<{ path?: string; data?: Data; error?: unknown }>({})
  const [round, setRound] = useState(0)
  useEffect(() => {
    if (path === undefined) return
    const controller = new AbortController()
    api.get<Data>(path, controller.signal).then(
      (data) => setState({ path, data }),
      (error) => {
        if (!controller.signal.aborted) setState({ path, error })
      },
    )
    return () => controller.abort()
  }, [api, path, round, version])
  const isCurrent = state.path === path
  return {
    data: isCurrent ? state.data : undefined,
    error: isCurrent ? state.error : undefined,
    isLoading: path !== undefined && !isCurrent,
    refetch: () => setRound((count) => count + 1),
  }
}
