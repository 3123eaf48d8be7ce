import { mkdirSync, rmSync } from "node:fs"
import { basename, dirname, join } from "node:path"

/**
 * Bundles the dashboard and embeds its files. Bun's own import of an HTML file lists style sheets in an order that
 * depends on which thread finishes first, so the same sources would give different binaries.
 *
 * `folder` holds the files until the build has embedded them. Throws if the dashboard does not compile.
 */
export async function embedDashboard(folder: string): Promise<Bun.BunPlugin> {
  /** Fonts by their path in the sources. */
  const fonts = new Map<string, Font>()
  const { outputs } = await Bun.build({
    entrypoints: [join(import.meta.dir, "index.html")],
    target: "browser",
    define: { "process.env.NODE_ENV": JSON.stringify("production") },
    minify: { whitespace: true, syntax: true },
    // Loads rarely used pages on demand.
    splitting: true,
    // Relative: `route.ts` adds the path of the server to those of the page.
    publicPath: "./",
    plugins: [separateFonts(fonts)],
  })
  const files = [
    ...outputs.map((output) => ({ output, name: basename(output.path) })),
    // The page and the style sheet use different paths for a font.
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
  // A file beside the others: their absolute paths would be part of the source map, and would differ between two
  // clones.
  const list = join(folder, "files.js")
  await Bun.write(list, `${imports.join("\n")}\nexport default { files: [${entries.join(", ")}] }\n`)
  return {
    name: "embed-dashboard",
    setup(build) {
      build.onResolve({ filter: /^\.\/index\.html$/ }, ({ importer }) =>
        // The list itself imports the bundled page.
        importer === list ? undefined : { path: list },
      )
    },
  }
}

interface Font {
  /** Contains a hash of the content. */
  name: string
  file: Bun.BunFile
}

/** Keeps fonts out of the style sheet, where Bun would embed them as data URLs, and adds them to `fonts`. */
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

/** Adds what the bundler cannot resolve: the paths of preloaded fonts, and the manifest, which the server composes. */
function completePage(html: string, fonts: ReadonlyMap<string, Font>): string {
  return [...fonts]
    .reduce((text, [path, { name }]) => text.replaceAll(`"${path}"`, `"./${name}"`), html)
    .replace("</head>", `<link rel="manifest" href="./manifest.webmanifest"></head>`)
}
