import { join } from "node:path"

/** The bundled source code of each script that pages load. */
export interface Scripts {
  databuddy: string
  "databuddy-debug": string
  vitals: string
  errors: string
  engagement: string
  pixel: string
}

/** A notice that the license of web-vitals requires. */
const webVitalsNotice =
  "/* Contains web-vitals, Copyright 2020 Google LLC, Apache-2.0: https://www.apache.org/licenses/LICENSE-2.0 */"

interface Entry {
  file: string
  format: "iife" | "esm"
  debug: boolean
  /** The first line of the script. */
  banner?: string
}

const entries: Record<keyof Scripts, Entry> = {
  databuddy: { file: "databuddy.ts", format: "iife", debug: false },
  "databuddy-debug": { file: "databuddy.ts", format: "iife", debug: true },
  // The main script imports these as modules. If a page's Content-Security-Policy allows the main script by nonce, it
  // also allows these imports.
  vitals: { file: "vitals.ts", format: "esm", debug: false, banner: webVitalsNotice },
  errors: { file: "errors.ts", format: "esm", debug: false },
  engagement: { file: "engagement.ts", format: "esm", debug: false },
  pixel: { file: "pixel.ts", format: "esm", debug: false },
}

/** The files from which the scripts are bundled. */
export const scriptFiles: readonly string[] = [
  ...new Set(Object.values(entries).map(({ file }) => join(import.meta.dir, "page", file))),
]

/**
 * Bundles and minifies the scripts. Used by the build, and by servers that run from source. For `basePath`, see
 * `readScripts`. Throws if a script does not compile.
 */
export async function bundleScripts(basePath = ""): Promise<Scripts> {
  const bundle = async (name: keyof Scripts): Promise<string> => {
    const { file, format, debug, banner = "" }: Entry = entries[name]
    const { outputs } = await Bun.build({
      entrypoints: [join(import.meta.dir, "page", file)],
      target: "browser",
      format,
      minify: true,
      banner,
      define: {
        DEBUG: JSON.stringify(debug),
        BASE_PATH: JSON.stringify(basePath),
        "process.env.NODE_ENV": JSON.stringify("production"),
      },
    })
    const [output] = outputs
    if (!output) throw new Error(`${file} was not bundled`)
    return output.text()
  }
  return {
    databuddy: await bundle("databuddy"),
    "databuddy-debug": await bundle("databuddy-debug"),
    vitals: await bundle("vitals"),
    errors: await bundle("errors"),
    engagement: await bundle("engagement"),
    pixel: await bundle("pixel"),
  }
}
