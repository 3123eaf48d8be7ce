import type { FieldError } from "../../errors.ts"

/** A failed API call. `message` is meant for the user. */
export class ApiError extends Error {
  constructor(
    message: string,
    /** HTTP status; 0 if there was no response, or if its body could not be read. */
    readonly status: number,
    /** Machine-readable reason from the x-databuddy-reason header; `unreachable` if the status is 0. */
    readonly reason: string,
    readonly fields: readonly FieldError[],
  ) {
    super(message)
  }
}

/** The error body used by every endpoint under /v1. */
interface Failure {
  error?: string
  errors?: FieldError[]
}

const unreachable = "The server is not responding. It might be restarting: try again in a moment."

/** Client for /v1, authenticated with the login cookie or a share link's token. */
export class Api {
  constructor(
    private readonly fetcher: (path: string, init: RequestInit) => Promise<Response>,
    private readonly share: () => string | undefined,
    /** Called when the server has stopped accepting the cookie or the share link. */
    private readonly onLoggedOut: () => void,
  ) {}

  get<Data>(path: string, signal?: AbortSignal): Promise<Data> {
    return this.#call("GET", path, undefined, signal)
  }

  send<Data>(method: "POST" | "PATCH" | "DELETE", path: string, body?: unknown, signal?: AbortSignal) {
    return this.#call<Data>(method, path, body, signal)
  }

  /** Sends a GET request with a streaming response. Throws `ApiError`, like the other methods. */
  async open(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    const response = await this.#fetch("GET", path, { headers, signal })
    if (response.ok) return response
    // The type assertion is safe because all errors under /v1 have this body.
    throw this.#errorFrom(response, (await response.json().catch(() => ({}))) as Failure)
  }

  async #call<Data>(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<Data> {
    const response = await this.#fetch(method, path, {
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
      ...(signal ? { signal } : {}),
    })
    let result: Data & Failure
    try {
      // For the type assertion, the caller specifies the response type that is documented for the path.
      result = (await response.json()) as Data & Failure
    } catch (error) {
      if (signal?.aborted) throw error
      throw new ApiError(unreachable, 0, "unreachable", [])
    }
    if (response.ok) return result
    throw this.#errorFrom(response, result)
  }

  async #fetch(
    method: string,
    path: string,
    { headers, ...init }: Omit<RequestInit, "headers"> & { headers?: Record<string, string> },
  ): Promise<Response> {
    const share = this.share()
    const ownHeaders = {
      "x-databuddy-page": "1",
      ...(share === undefined ? {} : { "x-databuddy-share": share }),
    }
    try {
      return await this.fetcher(`/v1/${path}`, { ...init, method, headers: { ...ownHeaders, ...headers } })
    } catch (error) {
      if (init.signal?.aborted) throw error
      throw new ApiError(unreachable, 0, "unreachable", [])
    }
  }

  #errorFrom(response: Response, { error, errors }: Failure): ApiError {
    const reason = response.headers.get("x-databuddy-reason") ?? ""
    // The response to a wrong password is also a 401, but does not mean that the cookie is invalid.
    if (response.status === 401 && reason !== "login_wrong") this.onLoggedOut()
    return new ApiError(
      sentence(error ?? `The server returned status ${response.status}.`),
      response.status,
      reason,
      errors ?? [],
    )
  }
}

/**
 * Capitalizes a message and adds a period, unless it ends with `.`, `!` or `?`. API messages start in lower case and
 * have no period.
 */
export function sentence(text: string): string {
  const capitalized = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(capitalized) ? capitalized : `${capitalized}.`
}
