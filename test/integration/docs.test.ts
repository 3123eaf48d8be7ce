import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Validator } from "@seriousme/openapi-schema-validator"
import type { TSchema } from "@sinclair/typebox"
import { profileSchema } from "../../src/admin-api/profile-schema.ts"
import { rejectedRequestSchema } from "../../src/admin-api/rejected-request-schema.ts"
import {
  keyChangesSchema,
  keySchema,
  keyWithSecretSchema,
  newKeySchema,
  newWebsiteSchema,
  websiteChangesSchema,
  websiteSchema,
} from "../../src/admin-api/schema.ts"
import { type AppDeps, createApp } from "../../src/app.ts"
import {
  boardChangesSchema,
  boardSchema,
  boardSummarySchema,
  newBoardSchema,
  newTileSchema,
} from "../../src/boards/schema.ts"
import {
  aiVisitSchema,
  customEventSchema,
  engagementSchema,
  errorSchema,
  outgoingLinkSchema,
  pageEventSchema,
  pageIdentitySchema,
  vitalSchema,
} from "../../src/ingest/page-schema.ts"
import { eventSchema, identifySchema } from "../../src/ingest/schema.ts"
import type { Limits } from "../../src/openapi/ingest.ts"
import { openapi } from "../../src/openapi/openapi.ts"
import { parameterSchema, querySchema } from "../../src/query-api/schema.ts"
import { type RejectionReason, rejections } from "../../src/rejection-reasons.ts"
import {
  newNoteSchema,
  newShareSchema,
  newViewSchema,
  noteChangesSchema,
  noteSchema,
  shareSchema,
  viewChangesSchema,
  viewSchema,
} from "../../src/saved/schema.ts"
import { newUserSchema, userChangesSchema, userSchema } from "../../src/users/schema.ts"
import { type Server, startServer, temporaryFolder } from "../harness.ts"
import { environment } from "../support/environment.ts"
import { jailCommand, makeJail } from "../support/jail.ts"

/** The parts of an operation that the tests check. */
interface Operation {
  tags: string[]
  requestBody?: { content: { "application/json": { schema: Schema; examples?: Record<string, Example> } } }
  parameters?: { name: string; example?: string }[]
  responses: Record<string, DescribedResponse>
  "x-code-samples"?: { source: string }[]
}
interface DescribedResponse {
  description: string
  headers: Record<string, { schema?: { enum?: RejectionReason[] } }>
  content: { "application/json"?: { schema: Schema; examples?: Record<string, Example> } }
}
interface Schema {
  [keyword: string]: unknown
  properties?: Record<string, Schema>
  anyOf?: Schema[]
}
interface Example {
  value: { message?: string }
}
interface Document {
  tags: { name: string }[]
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

const limits: Limits = {
  maxEvents: 1_000,
  maxBodyBytes: 2_097_152,
  rateLimit: 600,
  rateLimitEvents: 50_000,
  rateLimitBytes: 33_554_432,
}
const describedWith = async (changed: Partial<Limits> = {}) =>
  JSON.parse(JSON.stringify(await openapi({ ...limits, ...changed }))) as Document
const methods = ["get", "post", "patch", "put", "delete"]

function operationsOf({ paths }: Document) {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => methods.includes(method))
      .map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  )
}

describe("openapi.json", () => {
  test("is valid OpenAPI 3.1", async () => {
    const { valid, errors } = await new Validator().validate(await openapi(limits))
    expect(errors ?? []).toEqual([])
    expect(valid).toBe(true)
  })

  test("describes every route that receives or returns data, and no other", async () => {
    // The routes are only listed, not called.
    const { routes } = createApp({
      settings: { basePath: "", ingestPath: "" },
      scriptName: "databuddy.js",
    } as AppDeps)
    const real = routes
      .filter(({ method }) => method !== "OPTIONS")
      .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`)
      // Without files: the documentation and the page scripts.
      .filter((route) => !/^GET \/(docs|openapi)|^(GET|HEAD) \/[\w-]+\.js$/.test(route))
    const described = operationsOf(await describedWith()).map(({ name }) => name)
    expect(described.sort()).toEqual(real.sort())
  })

  test("describes every tag, and uses each", async () => {
    const document = await describedWith()
    const used = new Set(operationsOf(document).flatMap(({ operation }) => operation.tags))
    expect([...used].sort()).toEqual(document.tags.map(({ name }) => name).sort())
  })

  test("lists every rejection reason with its status and message", async () => {
    const document = await describedWith()
    const seen = new Set<string>()
    for (const { operation } of operationsOf(document)) {
      for (const [status, { headers, content, description }] of Object.entries(operation.responses)) {
        const reasons = Number(status) < 300 ? [] : (headers["x-databuddy-reason"]?.schema?.enum ?? [])
        for (const reason of reasons) {
          seen.add(reason)
          expect(rejections[reason].status).toBe(
            Number(status) as (typeof rejections)[RejectionReason]["status"],
          )
          expect(description).toContain(`\`${reason}\``)
          expect(description).toContain(rejections[reason].message)
        }
        for (const { value } of Object.values(content["application/json"]?.examples ?? {})) {
          if (value.message)
            expect(reasons.map((one) => rejections[one].message as string)).toContain(value.message)
        }
      }
    }
    // These are not part of an operation, because they are responses to unknown routes and hosts.
    const ofNone = ["route_unknown", "invalid_host"]
    for (const reason of ofNone) expect(JSON.stringify(document)).toContain(`\`${reason}\``)
    expect([...seen, ...ofNone].sort()).toEqual(Object.keys(rejections).sort())
  })

  const schemas: Record<string, TSchema> = {
    Event: eventSchema,
    Identity: identifySchema,
    PageIdentity: pageIdentitySchema,
    PageEvent: pageEventSchema,
    OutgoingLink: outgoingLinkSchema,
    WebVital: vitalSchema,
    PageError: errorSchema,
    Engagement: engagementSchema,
    CustomEvent: customEventSchema,
    AiVisit: aiVisitSchema,
    Website: websiteSchema,
    NewWebsite: newWebsiteSchema,
    WebsiteChanges: websiteChangesSchema,
    Key: keySchema,
    KeyWithSecret: keyWithSecretSchema,
    NewKey: newKeySchema,
    KeyChanges: keyChangesSchema,
    Profile: profileSchema,
    Refusal: rejectedRequestSchema,
    User: userSchema,
    NewUser: newUserSchema,
    UserChanges: userChangesSchema,
    Note: noteSchema,
    NewNote: newNoteSchema,
    NoteChanges: noteChangesSchema,
    View: viewSchema,
    NewView: newViewSchema,
    ViewChanges: viewChangesSchema,
    Share: shareSchema,
    NewShare: newShareSchema,
    Board: boardSchema,
    BoardSummary: boardSummarySchema,
    NewBoard: newBoardSchema,
    BoardChanges: boardChangesSchema,
    NewTile: newTileSchema,
    Query: querySchema,
    Parameter: parameterSchema,
  }
  for (const [name, schema] of Object.entries(schemas)) {
    test(`${name} has the fields, types and limits that are checked`, async () => {
      const { components } = await describedWith()
      expect(rulesOf(components.schemas[name] as Schema)).toEqual(rulesOf(schema))
    })
  }

  test("does not contain messages of internal errors", async () => {
    const { components } = await describedWith()
    expect(JSON.stringify(components.schemas)).not.toContain('"expected":"')
  })

  test("contains the server's settings", async () => {
    const document = await describedWith({
      ...limits,
      maxEvents: 7,
      maxBodyBytes: 54_321,
      rateLimit: 89,
      rateLimitEvents: 876,
    })
    const body = document.paths["/track"]?.post?.requestBody?.content["application/json"].schema
    expect(body?.anyOf?.[1]).toMatchObject({ maxItems: 7 })
    expect(JSON.stringify(document)).toContain("54,321 bytes")
    expect(JSON.stringify(document)).toContain("89 per minute")
    expect(JSON.stringify(document)).toContain("876 events and 33554432 bytes per minute")
    expect(JSON.stringify(await describedWith({ rateLimit: 0 }))).toContain("are not limited")
  })
})

/** Returns one line for each rule of a schema. Equivalent unions, such as `enum` and `anyOf`, have the same lines. */
function rulesOf(schema: Schema | TSchema, path = "", rules: Set<string> = new Set()): string[] {
  for (const [keyword, value] of Object.entries(schema)) {
    if (["expected", "description", "examples"].includes(keyword)) continue
    if (keyword === "properties") {
      for (const [name, inner] of Object.entries(value as Record<string, Schema>))
        rulesOf(inner, `${path}.${name}`, rules)
    } else if (keyword === "anyOf") {
      for (const inner of value as Schema[]) rulesOf(inner, path, rules)
    } else if (typeof value === "object" && !Array.isArray(value)) {
      rulesOf(value as Schema, `${path} ${keyword}`, rules)
    } else {
      for (const one of [value].flat()) rules.add(`${path} ${keyword === "enum" ? "const" : keyword} ${one}`)
    }
  }
  return [...rules].sort()
}

describe("a server", () => {
  const folder = temporaryFolder()
  const websiteId = "550e8400-e29b-41d4-a716-446655440000"
  let server: Server
  beforeAll(async () => {
    server = await startServer({ db: folder.file("docs.db") })
    // The website that the published examples are for.
    const website = { id: websiteId, domain: "example.org" }
    expect((await call("POST", "/v1/websites", website)).status).toBe(201)
  })
  afterAll(async () => {
    await server.stop()
    folder[Symbol.dispose]()
  })

  const call = (method: string, path: string, body?: unknown) =>
    fetch(`${server.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${server.key}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })

  test("accepts the examples in openapi.json, and responds as described there", async () => {
    const answer = await fetch(`${server.url}/openapi.json`)
    expect(answer.headers.get("content-type")).toBe("application/json")
    const document = (await answer.json()) as Document
    expect(document).toEqual(await describedWith())
    const tried: string[] = []
    for (const { name, operation } of operationsOf(document)) {
      const [method = "", path = ""] = name.split(" ")
      const { schema, examples } = operation.requestBody?.content["application/json"] ?? {}
      const named = document.components.schemas[String(schema?.$ref).split("/").pop() ?? ""]
      const values = examples ? Object.values(examples).map(({ value }) => value) : named?.examples
      for (const value of method === "POST" ? ((values ?? []) as unknown[]) : []) {
        const query = (operation.parameters ?? []).flatMap(({ name, example }) =>
          example === undefined ? [] : [[name, example] as const],
        )
        const search = new URLSearchParams(Object.fromEntries(query))
        const address = `${path.replace("{id}", websiteId)}?${search}`
        const response = await call(method, address, value)
        const described = operation.responses[response.status]
        expect(described, `${name} answered ${response.status}`).toBeDefined()
        expect(response.status).toBeLessThan(300)
        tried.push(name)
        const schema = described?.content["application/json"]?.schema
        const fields = schema?.required ?? schema?.anyOf?.[0]?.required
        expect(Object.keys((await response.json()) as object)).toEqual(fields as string[])
      }
    }
    expect([...new Set(tried)]).toEqual([
      "POST /track",
      "POST /identify",
      "POST /",
      "POST /batch",
      "POST /vitals",
      "POST /errors",
      "POST /engagement",
      "POST /events",
      "POST /ai-traffic",
      "POST /v1/query",
      "POST /v1/websites",
      "POST /v1/websites/{id}/forget",
      "POST /v1/keys",
      "POST /v1/users",
      "POST /v1/notes",
      "POST /v1/views",
      "POST /v1/shares",
      "POST /v1/boards",
    ])
  })

  // Some machines do not have curl.
  test.skipIf(Bun.which("curl") === null)("accepts the curl commands in openapi.json", async () => {
    const document = await describedWith()
    const samples = operationsOf(document).flatMap(({ operation }) => operation["x-code-samples"] ?? [])
    expect(samples.length).toBe(4)
    for (const { source } of samples) {
      const env = environment({ URL: server.url, KEY: server.key })
      const curl = Bun.spawnSync(["sh", "-c", source.replace("curl", "curl -s")], { env })
      expect(curl.stdout.toString()).toStartWith('{"status":"success"')
    }
  })

  test("shows it on a page that loads nothing from other servers", async () => {
    await expectWholePage(server.url)
  })

  test("responds as the contract says if a file does not exist", async () => {
    const response = await fetch(`${server.url}/docs/viewer.0123456789abcdef.js`)
    expect(response.status).toBe(404)
    expect(await response.json()).toEqual({ status: "error", message: "Not found" })
  })
})

const command = jailCommand()

test.skipIf(command === undefined)(
  "the binary contains the page",
  async () => {
    using jail = makeJail(command ?? [])
    const process = jail.start(["serve", "--no-setup", "--db", "/data/x.db", "--port", "0"])
    try {
      // The system chooses the port, because tests that run in parallel could take a port that was found to be free.
      let printed = ""
      for await (const bytes of process.stdout) {
        printed += new TextDecoder().decode(bytes)
        if (printed.includes("\n")) break
      }
      const [url = ""] = /http:\/\/\S+/.exec(printed) ?? []
      await expectWholePage(url)
    } finally {
      process.kill("SIGKILL")
      await process.exited
    }
  },
  20_000,
)

async function expectWholePage(url: string): Promise<void> {
  const response = await fetch(`${url}/docs`)
  expect(response.status).toBe(200)
  expectSafe(response)
  const policy = response.headers.get("content-security-policy") ?? ""
  expect(policy).toStartWith("default-src 'none'; script-src 'self';")
  expect(policy).toContain("frame-ancestors 'none'")
  expect(policy).not.toMatch(/https?:|\*|unsafe-eval/)
  const html = await response.text()
  expect(html).not.toMatch(/<script(?![^>]* src=)| on\w+=/)
  const addresses = [...html.matchAll(/\s(?:src|href|spec-url)="([^"]*)"/g)].map((match) => match[1] ?? "")
  const files = addresses.filter((address) => address !== "data:,")
  expect(files.length).toBeGreaterThan(1)
  for (const file of files) {
    expect(file).toMatch(/^\/[a-z]/)
    const plain = await fetch(`${url}${file}`, { headers: { "accept-encoding": "identity" } })
    expect(plain.status).toBe(200)
    expectSafe(plain)
    if (file.endsWith(".js")) expect(plain.headers.get("cache-control")).toContain("immutable")
    const zipped = await fetch(`${url}${file}`, { headers: { "accept-encoding": "gzip" } })
    expect(zipped.headers.get("content-encoding")).toBe("gzip")
    expect(await zipped.text()).toBe(await plain.text())
  }
}

function expectSafe({ headers }: Response): void {
  expect(headers.get("x-content-type-options")).toBe("nosniff")
  expect(headers.get("referrer-policy")).toBe("no-referrer")
  expect(headers.get("x-frame-options")).toBe("DENY")
}
