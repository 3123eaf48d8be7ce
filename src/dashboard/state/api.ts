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

  /** A GET whose answer is read as it comes. Throws as the others do. */
  async open(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    const response = await this.#fetch("GET", path, { headers, signal })
    if (response.ok) return response
    throw this.#refused(response, (await response.json().catch(() => ({}))) as Failure)
  }

  async #call<Answer>(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<Answer> {
    const response = await this.#fetch(method, path, {
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
      ...(signal ? { signal } : {}),
    })
    let answer: Answer & Failure
    try {
      answer = (await response.json()) as Answer & Failure
    } catch (error) {
      if (signal?.aborted) throw error
      throw new ApiError(unreachable, 0, "unreachable", [])
    }
    if (response.ok) return answer
    throw this.#refused(response, answer)
  }

  async #fetch(
    method: string,
    path: string,
    { headers, ...init }: Omit<RequestInit, "headers"> & { headers?: Record<string, string> },
  ): Promise<Response> {
    const share = this.share()
    const own = { "x-databuddy-page": "1", ...(share === undefined ? {} : { "x-databuddy-share": share }) }
    try {
      return await this.fetcher(`/v1/${path}`, { ...init, method, headers: { ...own, ...headers } })
    } catch (error) {
      if (init.signal?.aborted) throw error
      throw new ApiError(unreachable, 0, "unreachable", [])
    }
  }

  #refused(response: Response, { error, errors }: Failure): ApiError {
    const reason = response.headers.get("x-databuddy-reason") ?? ""
    // A wrong password says nothing of the cookie.
    if (response.status === 401 && this.share() === undefined && reason !== "login_wrong") this.onLoggedOut()
    return new ApiError(
      sentence(error ?? `The server answered ${response.status}.`),
      response.status,
      reason,
      errors ?? [],
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
