/** An error response of an S3 server. */
export interface S3Fault {
  status: number
  code: string
}

export interface S3Stub extends Disposable {
  endpoint: string
  /** Objects by key. */
  objects: Map<string, Uint8Array>
  /** Parts of uploads that have neither been completed nor aborted, by upload ID. */
  uploads: Map<string, Map<number, Uint8Array>>
  /** Number of requests for each operation. */
  requests: Record<string, number>
  /** Called for each request. Returns the error to respond with, if any. */
  fault: (operation: S3Operation) => S3Fault | undefined
  /** If true, the stored bytes differ from those that were sent. */
  corrupts: boolean
}

export type S3Operation =
  | "list"
  | "head"
  | "get"
  | "put"
  | "delete"
  | "create"
  | "part"
  | "complete"
  | "abort"

/** Starts an S3 server with one bucket in memory. Requests must be signed with the access key `access`. */
export function startS3Stub(): S3Stub {
  const objects = new Map<string, Uint8Array>()
  const uploads = new Map<string, Map<number, Uint8Array>>()
  const stub: Omit<S3Stub, "endpoint" | typeof Symbol.dispose> = {
    objects,
    uploads,
    requests: {},
    fault: () => undefined,
    corrupts: false,
  }
  const answers: Record<S3Operation, (key: string, query: URLSearchParams, body: Uint8Array) => Response> = {
    list: (_, query) => listing(objects, query),
    head: (key) => object(objects, key),
    get: (key) => object(objects, key),
    put: (key, _, body) => store(key, body),
    delete: (key) => {
      objects.delete(key)
      return new Response(null, { status: 204 })
    },
    create: () => {
      const id = `upload-${uploads.size + 1}`
      uploads.set(id, new Map())
      return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`)
    },
    part: (_, query, body) => {
      uploads.get(query.get("uploadId") ?? "")?.set(Number(query.get("partNumber")), body)
      return new Response(null, { headers: { ETag: `"${query.get("partNumber")}"` } })
    },
    complete: (key, query) => {
      const id = query.get("uploadId") ?? ""
      const parts = [...(uploads.get(id) ?? [])].sort(([a], [b]) => a - b).map(([, part]) => part)
      uploads.delete(id)
      store(key, Buffer.concat(parts))
      return xml("<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")
    },
    abort: (_, query) => {
      uploads.delete(query.get("uploadId") ?? "")
      return new Response(null, { status: 204 })
    },
  }

  function store(key: string, body: Uint8Array): Response {
    const stored = body.slice()
    if (stub.corrupts) stored[stored.length >> 1] = (stored[stored.length >> 1] ?? 0) ^ 1
    objects.set(key, stored)
    return new Response(null, { headers: { ETag: '"x"' } })
  }

  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      const { pathname, searchParams } = new URL(request.url)
      const [, bucket, ...rest] = pathname.split("/")
      const key = decodeURIComponent(rest.join("/"))
      const operation = operationOf(request.method, key, searchParams)
      const body = new Uint8Array(await request.arrayBuffer())
      stub.requests[operation] = (stub.requests[operation] ?? 0) + 1
      if (!request.headers.get("authorization")?.includes("Credential=access/")) {
        return failure({ status: 403, code: "InvalidAccessKeyId" })
      }
      if (bucket !== "bucket") return failure({ status: 404, code: "NoSuchBucket" })
      const fault = stub.fault(operation)
      return fault ? failure(fault) : answers[operation](key, searchParams, body)
    },
  })
  return Object.assign(stub, {
    endpoint: server.url.origin,
    [Symbol.dispose]: () => void server.stop(true),
  })
}

function operationOf(method: string, key: string, query: URLSearchParams): S3Operation {
  if (method === "GET") return key === "" ? "list" : "get"
  if (method === "HEAD") return "head"
  if (method === "PUT") return query.has("partNumber") ? "part" : "put"
  if (method === "POST") return query.has("uploads") ? "create" : "complete"
  return query.has("uploadId") ? "abort" : "delete"
}

function object(objects: Map<string, Uint8Array>, key: string): Response {
  const bytes = objects.get(key)
  if (!bytes) return failure({ status: 404, code: "NoSuchKey" })
  return new Response(bytes, { headers: { ETag: '"x"', "Last-Modified": "Sat, 01 Aug 2026 12:00:00 GMT" } })
}

/** Objects per page. Small, so that tests need several pages. */
const pageSize = 3

function listing(objects: Map<string, Uint8Array>, query: URLSearchParams): Response {
  const [prefix, after] = [query.get("prefix") ?? "", query.get("start-after") ?? ""]
  const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort()
  const contents = keys
    .slice(0, pageSize)
    .map((key) => `<Contents><Key>${key}</Key><Size>${objects.get(key)?.length}</Size></Contents>`)
  const isTruncated = keys.length > pageSize
  return xml(
    `<ListBucketResult><Name>bucket</Name><IsTruncated>${isTruncated}</IsTruncated>${contents.join("")}</ListBucketResult>`,
  )
}

function failure({ status, code }: S3Fault): Response {
  return xml(`<Error><Code>${code}</Code><Message>the stub says ${code}</Message></Error>`, status)
}

function xml(text: string, status = 200): Response {
  return new Response(`<?xml version="1.0" encoding="UTF-8"?>${text}`, {
    status,
    headers: { "Content-Type": "application/xml" },
  })
}
