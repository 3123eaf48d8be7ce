import { afterEach, beforeEach, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { startFailure, startServer, type TemporaryFolder, temporaryFolder } from "../harness.ts"

let folder: TemporaryFolder
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => folder[Symbol.dispose]())

const scrape = (url: string, headers: Record<string, string> = {}) => fetch(`${url}/metrics`, { headers })

test("/metrics is off by default", async () => {
  const server = await startServer({ db: folder.file("a.db") })
  expect((await scrape(server.url, { Authorization: `Bearer ${server.key}` })).status).toBe(404)
  await server.stop()
})

test("/metrics requires the token, and counts requests over HTTP", async () => {
  const file = folder.file("token")
  writeFileSync(file, "tok-123\n")
  const server = await startServer({ db: folder.file("a.db"), args: ["--metrics-token-file", file] })
  expect((await scrape(server.url)).status).toBe(401)
  const headers = { Authorization: `Bearer ${server.key}` }
  for (const body of ['{"name":"a"}', "{"])
    await fetch(`${server.url}/track`, { method: "POST", headers, body })
  const answer = await scrape(server.url, { Authorization: "Bearer tok-123" })
  expect(answer.status).toBe(200)
  expect(answer.headers.get("content-type")).toStartWith("text/plain; version=0.0.4")
  const text = await answer.text()
  expect(text).toContain("\ndatabuddy_events_stored_total 1\n")
  expect(text).toContain('\ndatabuddy_refusals_total{reason="invalid_json"} 1\n')
  expect(text).toContain('\ndatabuddy_http_requests_total{method="GET",route="/metrics",status="401"} 1\n')
  expect(text).toMatch(/\ndatabuddy_build_info\{version="[^"]+",commit="[^"]+"\} 1\n/)
  expect(text).not.toContain("dbdy_")
  await server.stop()
})

test("/metrics is open to this machine with --metrics local, but not through a proxy", async () => {
  const server = await startServer({ db: folder.file("a.db"), env: { DATABUDDY_METRICS: "local" } })
  expect((await scrape(server.url)).status).toBe(200)
  expect((await scrape(server.url, { "X-Forwarded-For": "127.0.0.1" })).status).toBe(404)
  await server.stop()
})

test.each(["none", "empty"])(
  "an unusable token file (%s) makes the start fail, and no database is created",
  async (name) => {
    writeFileSync(folder.file("empty"), " \n")
    const file = folder.file(name)
    const failure = await startFailure({ db: folder.file("a.db"), args: ["--metrics-token-file", file] })
    expect(failure).toContain(`error: --metrics-token-file ${file} `)
    expect(await Bun.file(folder.file("a.db")).exists()).toBe(false)
  },
)
