import { useEffect, useState } from "preact/hooks"
import { useApp } from "./app.ts"

export interface Resource<Answer> {
  data: Answer | undefined
  error: unknown
  isLoading: boolean
  /** Asks once more; what is shown stays until then. */
  again: () => void
}

/** What a GET under /v1 answers. Undefined: asks nothing. Asks anew where `version` changes. */
export function useResource<Answer>(path: string | undefined, version = 0): Resource<Answer> {
  const { api } = useApp()
  const [state, setState] = useState<{ path?: string; data?: Answer; error?: unknown }>({})
  const [round, setRound] = useState(0)
  useEffect(() => {
    if (path === undefined) return
    const stop = new AbortController()
    api.get<Answer>(path, stop.signal).then(
      (data) => setState({ path, data }),
      (error) => {
        if (!stop.signal.aborted) setState({ path, error })
      },
    )
    return () => stop.abort()
  }, [api, path, round, version])
  const isCurrent = state.path === path
  return {
    data: isCurrent ? state.data : undefined,
    error: isCurrent ? state.error : undefined,
    isLoading: path !== undefined && !isCurrent,
    again: () => setRound((count) => count + 1),
  }
}
