import { afterAll, beforeAll, expect, test } from "bun:test"
import { symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { curlSnippet, nodeSnippet, type Target } from "../../src/dashboard/install/snippets.ts"
import { openReader, type Server, startServer, temporaryFolder } from "../harness.ts"
import { repository } from "../support/repository.ts"

// Runs the snippets that the dashboard shows. test/browser/install.test.ts runs those for web pages in a browser.

const folder = temporaryFolder()
let server: Server
let website: string

beforeAll(async () => {
  server = await startServer({ db: folder.file("databuddy.db") })
  const { websites } = await v1<{ websites: { id: string }[] }>("websites")
  website = websites[0]?.id ?? ""
})
afterAll(async () => {
  await server.stop()
  folder[Symbol.dispose]()
})

async function v1<Answer>(path: string, body?: object, method = body ? "POST" : "GET"): Promise<Answer> {
  const headers = { authorization: `Bearer ${server.key}`, "content-type": "application/json" }
  const answer = await fetch(`${server.url}/v1/${path}`, {
    method,
    headers,
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  return (await answer.json()) as Answer
}

const target = (more: Partial<Target> = {}): Target => ({
  serverUrl: server.url,
  website,
  pageOrigin: undefined,
  key: undefined,
  ...more,
})

function newest(): unknown {
  const db = openReader(server.db)
  try {
    const columns = "website_id, name, anonymous_id, session_id, properties, credential, crawler"
    return db.prepare(`select ${columns} from events order by id desc limit 1`).get()
  } finally {
    db.close()
  }
}

const curl = Bun.which("curl")

test.skipIf(!curl)(
  `the curl snippet sends an event for the website${curl ? "" : " (skipped: needs curl)"}`,
  () => {
    const { stdout } = Bun.spawnSync(["bash", "-c", curlSnippet(target())])
    expect(stdout.toString()).toBe('{"status":"success","type":"custom_event","count":1}')
    expect(newest()).toEqual({
      website_id: website,
      name: "hello",
      anonymous_id: "me",
      session_id: "my-visit",
      properties: '{"from":"curl"}',
      credential: "website_id",
      crawler: 0,
    })
  },
)

test.skipIf(!curl)("the curl snippet sends an origin for a website that lists origins", async () => {
  const listing = { domain: "shop.example.com", allowedOrigins: ["other.example.com"] }
  const made = await v1<{ website: { id: string } }>("websites", listing)
  const its = { website: made.website.id }
  const without = Bun.spawnSync(["bash", "-c", curlSnippet(target(its))])
  expect(without.stdout.toString()).toContain("Origin not authorized")
  const line = curlSnippet(target({ ...its, pageOrigin: "https://shop.example.com" }))
  expect(Bun.spawnSync(["bash", "-c", line]).stdout.toString()).toContain('"count":1')
})

test("the Node snippet sends an event for the website, with a key that can do nothing else", async () => {
  const grant = { name: "events", scopes: ["track:events"], websites: [website] }
  const { key } = await v1<{ key: { key: string } }>("keys", grant)
  const file = folder.file("lines.mjs")
  symlinkSync(join(repository, "node_modules"), folder.file("node_modules"))
  writeFileSync(file, nodeSnippet(target({ key: key.key })))
  const ran = Bun.spawnSync([process.execPath, file])
  expect(ran.stderr.toString()).toBe("")
  expect(newest()).toMatchObject({
    website_id: website,
    name: "signed_up",
    anonymous_id: "visitor-1",
    session_id: "visit-1",
    properties: '{"plan":"pro"}',
  })
})
