import viewer from "openapi-explorer/dist/browser/openapi-explorer.min.js" with { type: "file" }

export interface Page {
  html: string
  /** The page's script. Its name contains a hash of its content, so browsers can cache it forever. */
  viewer: { path: string; bytes: Uint8Array }
}

/** Creates the page, and loads its script, the viewer, from the binary. The page refers to files under `basePath`. */
export async function createPage(basePath = ""): Promise<Page> {
  const bytes = await Bun.file(viewer).bytes()
  const hash = new Bun.CryptoHasher("sha256").update(bytes).digest("hex").slice(0, 16)
  const path = `/docs/viewer.${hash}.js`
  return { html: html(path, basePath), viewer: { path, bytes } }
}

/** Includes dark colors, because the viewer has no dark theme of its own. */
const style = `
openapi-explorer {
  --font-regular: system-ui, sans-serif;
  --font-mono: ui-monospace, monospace;
}
@media (prefers-color-scheme: dark) {
  html { background: #16191d }
  openapi-explorer {
    --bg: #16191d; --bg2: #1e2227; --bg3: #272c33; --light-bg: #343b44;
    --fg: #d5dae0; --fg2: #c3c9d1; --fg3: #a9b1bb; --light-fg: #8b949f;
    --border-color: #3a414a; --light-border-color: #2c323a; --input-bg: #1e2227;
    --placeholder-color: #7d8691; --hover-color: #272c33;
    --primary-color: #7fb2d6; --primary-btn-text-color: #16191d;
    --nav-bg-color: #1b2733; --nav-hover-bg-color: #24364a;
    --code-fg: #c3c9d1; --inline-code-fg: #f0a8a0; --code-property-color: #e3a0c8;
    --code-keyword-color: #7fb2d6; --code-operator-color: #d9b98a;
    --purple: #b794f4; --red: #ff8d8d; --orange: #ffab70; --green: #6fd08c; --blue: #79c0ff;
    --light-purple: #2a2138; --light-red: #3a2022; --light-orange: #3a2a1c; --light-yellow: #37301a;
    --light-green: #1c3325; --light-blue: #1b2f40; --light-gray: #272c33;
  }
}`

function html(viewerPath: string, basePath: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Databuddy API</title>
<link rel="icon" href="data:,">
<style>${style}</style>
<script type="module" src="${basePath}${viewerPath}"></script>
</head>
<body>
<openapi-explorer spec-url="${basePath}/openapi.json" hide-server-selection></openapi-explorer>
<noscript>This page needs JavaScript; the document is at <a href="${basePath}/openapi.json">${basePath}/openapi.json</a>.</noscript>
</body>
</html>
`
}
