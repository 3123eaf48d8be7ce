import { mkdirSync, rmSync } from "node:fs"
import { basename, join } from "node:path"

/**
 * Bundles the dashboard and embeds its files. Bun's own import of an HTML file lists style sheets in an order that depends
 * on which thread was first, and the same sources would give different binaries.
 *
 * `folder` holds the files until the build has embedded them. Throws if the dashboard does not compile.
 */
export async function embedDashboard(folder: string): Promise<Bun.BunPlugin> {
  const { outputs } = await Bun.build({
    entrypoints: [join(import.meta.dir, "index.html")],
    target: "browser",
    define: { "process.env.NODE_ENV": JSON.stringify("production") },
    minify: { whitespace: true, syntax: true },
    // Loads rarely used pages on demand.
    splitting: true,
    publicPath: "/",
  })
  const files = outputs
    .map((output) => ({ output, name: basename(output.path) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const { output, name } of files) await Bun.write(join(folder, name), output)

  const imports = files.map(({ name }, index) => {
    return `import file${index} from ${JSON.stringify(join(folder, name))} with { type: "file" }`
  })
  const entries = files.map(({ output, name }, index) => {
    const loader = name.endsWith(".html") ? "html" : "file"
    return `{ path: file${index}, loader: "${loader}", headers: { "content-type": ${JSON.stringify(output.type)} } }`
  })
  return {
    name: "embed-dashboard",
    setup(build) {
      // Another namespace, because Bun reads a file that ends with .html as a page whatever the loader.
      build.onResolve({ filter: /^\.\/index\.html$/ }, () => ({ path: "index.js", namespace: "dashboard" }))
      build.onLoad({ filter: /./, namespace: "dashboard" }, () => ({
        contents: `${imports.join("\n")}\nexport default { files: [${entries.join(", ")}] }\n`,
        loader: "js",
      }))
    },
  }
}
