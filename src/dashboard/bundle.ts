import { mkdirSync, rmSync } from "node:fs"
import { basename, dirname, join } from "node:path"

/**
 * Bundles the dashboard, and returns a plugin that embeds its files. Bun's own HTML import cannot be used, because it
 * lists style sheets in an order that depends on thread timing, so identical sources would produce different binaries.
 * `folder` holds the files until the build has embedded them. Throws if the dashboard does not compile.
 */
export async function embedDashboard(folder: string): Promise<Bun.BunPlugin> {
  /** Fonts by their path in the source tree. */
  const fonts = new Map<string, Font>()
  const { outputs } = await Bun.build({
    entrypoints: [join(import.meta.dir, "index.html")],
    target: "browser",
    define: { "process.env.NODE_ENV": JSON.stringify("production") },
    minify: { whitespace: true, syntax: true },
    // Loads rarely used pages on demand.
    splitting: true,
    // The path is relative, because `route.ts` adds the server's path to the references in the HTML page.
    publicPath: "./",
    plugins: [separateFonts(fonts)],
  })
  const files = [
    ...outputs.map((output) => ({ output, name: basename(output.path) })),
    // A font can be in the map twice, because the page and the style sheet refer to it by different paths.
    ...[...new Map([...fonts.values()].map(({ file, name }) => [name, file]))].map(([name, output]) => ({
      output,
      name,
    })),
  ].sort((a, b) => (a.name < b.name ? -1 : 1))
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const { output, name } of files) {
    const content = name.endsWith(".html") ? completePage(await output.text(), fonts) : output
    await Bun.write(join(folder, name), content)
  }

  const imports = files.map(({ name }, index) => {
    return `import file${index} from "./${name}" with { type: "file" }`
  })
  const entries = files.map(({ output, name }, index) => {
    const loader = name.endsWith(".html") ? "html" : "file"
    return `{ path: file${index}, loader: "${loader}", headers: { "content-type": ${JSON.stringify(output.type)} } }`
  })
  // The list is placed next to the other files, so that it can import them by relative paths. Absolute paths would end
  // up in the source map and differ between clones.
  const list = join(folder, "files.js")
  await Bun.write(list, `${imports.join("\n")}\nexport default { files: [${entries.join(", ")}] }\n`)
  return {
    name: "embed-dashboard",
    setup(build) {
      build.onResolve({ filter: /^\.\/index\.html$/ }, ({ importer }) =>
        // Every import of the page gets the list of files instead. Only the list itself imports the bundled page.
        importer === list ? undefined : { path: list },
      )
    },
  }
}

interface Font {
  /** The name contains a hash of the content. */
  name: string
  file: Bun.BunFile
}

/** Adds fonts to `fonts` and keeps them out of the style sheet, where Bun would embed them as data URLs. */
function separateFonts(fonts: Map<string, Font>): Bun.BunPlugin {
  return {
    name: "separate-fonts",
    setup(build) {
      build.onResolve({ filter: /\.woff2$/ }, async ({ path, importer }) => {
        const file = Bun.file(Bun.resolveSync(path, dirname(importer)))
        const hash = new Bun.CryptoHasher("sha256")
          .update(await file.bytes())
          .digest("hex")
          .slice(0, 8)
        const name = `${basename(path, ".woff2")}-${hash}.woff2`
        fonts.set(path, { name, file })
        return { path: `./${name}`, external: true }
      })
    },
  }
}

/** Adds what the bundler cannot resolve: the paths of preloaded fonts, and the manifest, which the server generates. */
function completePage(html: string, fonts: ReadonlyMap<string, Font>): string {
  return [...fonts]
    .reduce((text, [path, { name }]) => text.replaceAll(`"${path}"`, `"./${name}"`), html)
    .replace("</head>", `<link rel="manifest" href="./manifest.webmanifest"></head>`)
}
