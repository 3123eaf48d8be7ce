import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { runtimeLibraries } from "./runtime.ts"

/** An npm package that is included in the binary. */
export interface BundledPackage {
  name: string
  version: string
  /** SPDX expression. */
  license: string
  /** The text of the package's own license file. */
  text: string
  /** The package's directory. */
  folder: string
}

/**
 * Matches the package's folder in the path of a bundled file. If the path has several node_modules folders, the last
 * one counts.
 */
const packageFolder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/

const licenseFile = /^(?:\w+[-_])?(?:licen[sc]e|copying)(?:\.\w+)?$/i

/**
 * Returns the packages whose code or data the bundler includes in `builds`, sorted by name. Throws if a package has no
 * license or no license text, because a release must not contain such a package.
 */
export async function bundledPackages(
  root: string,
  builds: readonly Bun.BuildConfig[],
): Promise<BundledPackage[]> {
  const folders = new Set<string>()
  for (const config of builds) {
    const { metafile } = await Bun.build({ ...config, root, metafile: true })
    for (const file of Object.keys(metafile?.inputs ?? {})) {
      const folder = packageFolder.exec(file)?.[0]
      if (folder) folders.add(folder)
    }
  }
  return [...folders]
    .map((folder) => readPackage(join(root, folder)))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function readPackage(folder: string): BundledPackage {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    name: string
    version: string
    license?: string
  }
  const file = readdirSync(folder).find((one) => licenseFile.test(one))
  if (!license || !file)
    throw new Error(`${name} is missing the license field in package.json or a license file`)
  return { name, version, license, text: readFileSync(join(folder, file), "utf8").trim(), folder }
}

/** Returns the license texts of everything in the binary, for `databuddy licenses` and the archives. */
export function licenseTexts(root: string, packages: readonly BundledPackage[]): string {
  const productLicense = readFileSync(join(root, "LICENSE"), "utf8").trim()
  const rule = "=".repeat(80)
  const sections = [
    `This program, Databuddy (self-hosted), contains the following software.\n\n${productLicense}`,
    ...packages.map(({ name, version, license, text }) => `${name} ${version} (${license})\n\n${text}`),
    `SQLite, in better-sqlite3, is in the public domain: https://sqlite.org/copyright.html`,
    `The runtime, Bun ${Bun.version}, links these libraries:\n\n${runtimeLibraries
      .map(({ name, license, url }) => `- ${name} (${license}): ${url}`)
      .join(
        "\n",
      )}\n\nThe source code at these URLs names the copyright holders. JavaScriptCore and TinyCC can be replaced:\nbuild Bun with modified versions of them, as its documentation describes, then build databuddy with that Bun.`,
    ...[...new Set(runtimeLibraries.map(({ license }) => license))].sort().map((license) => {
      return `License text: ${license}\n\n${standardText(root, license)}`
    }),
  ]
  return `${sections.join(`\n\n${rule}\n`)}\n`
}

function standardText(root: string, license: string): string {
  const file = join(root, `node_modules/spdx-license-list/licenses/${license}.json`)
  const { licenseText } = JSON.parse(readFileSync(file, "utf8")) as { licenseText: string }
  return licenseText.trim()
}
