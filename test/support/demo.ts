import { environment } from "./environment.ts"

/** A running `databuddy demo` of the built binary. */
export interface RunningDemo extends AsyncDisposable {
  url: string
  /** Logs the browser in. */
  loginLink: string
  /** Cookie header of a login session. */
  cookie: string
  /** Ids of the websites. */
  websites: Record<"shop" | "app", string>
  /** The temporary folder of its database. */
  folder: string
  /** What it has printed. */
  output: () => string
  /** Sends a signal. Settles with the exit code when the process has ended. */
  end: (signal: NodeJS.Signals) => Promise<number>
}

/** Starts the demo on a free port. Settles when it serves its data. */
export async function startDemo(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<RunningDemo> {
  const { binary } = await import("./binary.ts")
  const child = Bun.spawn([binary, "demo", "--port", "0", ...args], {
    env: environment(env),
    stdio: ["ignore", "pipe", "inherit"],
  })
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    return child.exited
  }
  let output = ""
  const link = Promise.withResolvers<string>()
  const read = async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stdout) {
      output += decoder.decode(chunk, { stream: true })
      const printed = /^ +(http:\S+\/demo\/\S+)$/m.exec(output)?.[1]
      if (printed) link.resolve(printed)
    }
    link.reject(new Error(`the demo ended before it served: ${output}`))
  }
  void read()
  const loginLink = await link.promise
  const { origin: url } = new URL(loginLink)
  const login = await fetch(loginLink, { redirect: "manual" })
  const cookie = login.headers.get("set-cookie")?.split(";")[0] ?? ""
  const response = await fetch(`${url}/v1/websites`, { headers: { cookie } })
  // As GET /v1/websites documents.
  const { websites } = (await response.json()) as { websites: { id: string; name: string }[] }
  const idOf = (name: string) => websites.find((website) => website.name === name)?.id ?? ""
  return {
    url,
    loginLink,
    cookie,
    websites: { shop: idOf("Hearth & Pine"), app: idOf("Tidewell") },
    folder: /in (\S+)\/demo\.db/.exec(output)?.[1] ?? "",
    output: () => output,
    end,
    [Symbol.asyncDispose]: async () => void (await end("SIGTERM")),
  }
}
