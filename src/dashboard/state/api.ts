import type { FieldError } from "../../errors.ts"

/** The API said no, or could not be reached. `message` is for people. */
export class ApiError extends Error {
  constructor(
    message: string,
    /** 0: there was no answer. */
    readonly status: number,
    /** The server's stable word for it. */
    readonly reason: string,
    readonly fields: readonly FieldError[],
  ) {
    super(message)
  }
}

/** What every call under /v1 answers beside its own. */
interface Failure {
  error?: string
  errors?: FieldError[]
}

const unreachable = "The server does not answer. It may be restarting: try again in a moment."

/** Calls under /v1, with the person's cookie or the token of a share link. */
export class Api {
  constructor(
    private readonly fetcher: (path: string, init: RequestInit) => Promise<Response>,
    private readonly share: () => string | undefined,
    /** The cookie does not count any more. */
    private readonly onLoggedOut: () => void,
  ) {}

  get<Answer>(path: string, signal?: AbortSignal): Promise<Answer> {
    return this.#call("GET", path, undefined, signal)
  }

  send<Answer>(method: "POST" | "PATCH" | "DELETE", path: string, body?: unknown, signal?: AbortSignal) {
    return this.#call<Answer>(method, path, body, signal)
  }

  /** Headers that a request of another kind needs, such as a stream. */
  headers(): Record<string, string> {
    const share = this.share()
    return { "x-databuddy-page": "1", ...(share === undefined ? {} : { "x-databuddy-share": share }) }
  }

  async #call<Answer>(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<Answer> {
    const hasBody = body !== undefined
    let response: Response
    let answer: Answer & Failure
    try {
      response = await this.fetcher(`/v1/${path}`, {
        method,
        headers: { ...this.headers(), ...(hasBody ? { "Content-Type": "application/json" } : {}) },
        ...(hasBody ? { body: JSON.stringify(body) } : {}),
        ...(signal ? { signal } : {}),
      })
      answer = await response.json()
    } catch (error) {
      if (signal?.aborted) throw error
      throw new ApiError(unreachable, 0, "unreachable", [])
    }
    if (response.ok) return answer
    const reason = response.headers.get("x-databuddy-reason") ?? ""
    // A wrong password says nothing of the cookie.
    if (response.status === 401 && this.share() === undefined && reason !== "login_wrong") this.onLoggedOut()
    throw new ApiError(
      sentence(answer.error ?? `The server answered ${response.status}.`),
      response.status,
      reason,
      answer.errors ?? [],
    )
  }
}

/** The API's texts begin in lower case and end without a full stop. */
export function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(begun) ? begun : `${begun}.`
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
