import { useEffect, useMemo, useState } from "preact/hooks"
import { sentence } from "./api.ts"
import { type App, useApp, type View } from "./app.ts"
import type { Asked, Entry, Meta, Parameter, Row } from "./query-cache.ts"
import { rangeBody } from "./range.ts"

/** What was answered, or not yet. */
export interface Answered {
  /** Nothing is known yet: show what will have the same size. */
  isLoading: boolean
  /** What is shown was answered to the question before; the next answer is on its way. */
  isStale: boolean
  /** The request failed as a whole. */
  error: unknown
  again: () => void
  /** The rows of one parameter; [] while there are none. */
  rows<Shape = Row>(id: string): Shape[]
  /** What the server says of one parameter that failed alone. */
  failure(id: string): string | undefined
  meta(id: string): Meta | undefined
  /** The parameter whose rows are shown, which while they are stale is not the current one; before the first rows the current one. */
  asked(id: string): Parameter | undefined
}

interface State {
  key: string
  entries: Entry[] | undefined
  error: unknown
}

/** What differs from the view. */
type Changes = Partial<Pick<View, "website" | "filters" | "range">> & { body?: object }

const nothing: State = { key: "", entries: undefined, error: undefined }

/**
 * Puts questions about the range, filters and website that are looked at, all in one request. Undefined: asks nothing yet.
 * `changes`: what differs from the view; `compare` only where the type knows it is the parameter's own to say.
 */
export function useQuery(parameters: readonly Parameter[] | undefined, changes: Changes = {}): Answered {
  const app = useApp()
  const asked = parameters && askedFor(app, parameters, changes)
  const key = asked ? JSON.stringify(asked) : ""
  const [state, setState] = useState<State>(nothing)
  const [round, setRound] = useState(0)
  useEffect(() => {
    if (!asked) return
    // What failed before is no answer to this.
    setState((before) => (before.error ? nothing : before))
    const stop = new AbortController()
    app.answers.ask(key, asked, stop.signal).then(
      (entries) => setState({ key, entries, error: undefined }),
      (error) => {
        if (!stop.signal.aborted) setState({ key, entries: undefined, error })
      },
    )
    return () => stop.abort()
  }, [key, round])
  return useMemo(() => {
    const known = state.key === key ? state : { ...nothing, entries: app.answers.keptFor(key) }
    // Meanwhile what was there stays, so that nothing jumps.
    const entries = known.entries ?? (known.error ? undefined : state.entries)
    const entry = (id: string) => entries?.find(({ parameter }) => parameter === id)
    const isStale = known.entries === undefined && entries !== undefined
    const shownKey = isStale ? state.key : key
    return {
      isLoading: entries === undefined && !known.error,
      isStale,
      error: known.error,
      again: () => setRound((count) => count + 1),
      // The server's schemas say what a type's rows hold; whoever asks names the same type.
      rows: <Shape = Row>(id: string) => (entry(id)?.data ?? []) as Shape[],
      failure: (id) => {
        const error = entry(id)?.error
        return error === undefined ? undefined : sentence(error)
      },
      meta: (id) => entry(id)?.meta,
      asked: (id) => parametersOf(shownKey).find((one) => (one.id ?? one.name) === id),
    }
  }, [state, key, app])
}

/** The parameters in what `useAnswers` made a key of. */
function parametersOf(key: string): Parameter[] {
  return key === "" ? [] : JSON.parse(key).body.parameters
}

/** Asks once, where something is pressed rather than shown. Rejects where the parameter itself fails too. */
export function useAsk(): <Shape>(parameter: Parameter, changes?: Changes) => Promise<Shape[]> {
  const app = useApp()
  return async <Shape>(parameter: Parameter, changes: Changes = {}) => {
    const asked = askedFor(app, [parameter], changes)
    const [entry] = await app.answers.ask(JSON.stringify(asked), asked, new AbortController().signal)
    if (entry?.error !== undefined) throw new Error(sentence(entry.error))
    // The server's schemas say what a type's rows hold; whoever asks names the same type.
    return (entry?.data ?? []) as Shape[]
  }
}

function askedFor(app: App, parameters: readonly Parameter[], { body, ...changes }: Changes): Asked {
  const { website, zone, range, filters } = { ...app.view.value, ...changes }
  return {
    website,
    body: { parameters, ...rangeBody(range), timeZone: zone, filters, ...body },
  }
}
