import { expect, test } from "bun:test"
import { bundleScripts } from "../../src/tracker/bundle.ts"
import { startServer, temporaryFolder } from "../harness.ts"

test("the binary serves the scripts built from its sources, also under the name of --script-name", async () => {
  using folder = temporaryFolder()
  const server = await startServer({ db: folder.file("scripts.db"), args: ["--script-name", "app.js"] })
  try {
    const read = async (name: string) => (await fetch(`${server.url}/${name}.js`)).text()
    const scripts = await bundleScripts()
    for (const [name, source] of Object.entries(scripts)) expect(await read(name)).toBe(source)
    expect(await read("app")).toBe(scripts.databuddy)
    const head = await fetch(`${server.url}/databuddy.js`, {
      method: "HEAD",
      headers: { "accept-encoding": "identity" },
    })
    expect(head.headers.get("content-length")).toBe(String(Buffer.byteLength(scripts.databuddy)))
  } finally {
    await server.stop()
  }
})
