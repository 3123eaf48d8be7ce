// Stands in for a ClickHouse server: responds to the shipper's requests and discards the events. Runs as a separate
// process, prints its port, and ends when its input ends: with its parent, even if that is killed.

export {}

let migrations: [name: string, checksum: string, cluster: string][] = []
/**
 * Rows of the table `writers`, by name. Each is inserted as RowBinary: the name, the sequence, the last ID, and the
 * time.
 */
const writers = new Map<string, [sequence: number, shippedId: number, shippedAt: number]>()

const lines = (rows: readonly unknown[][]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("")

function answer(statement: string, body: Buffer): string {
  if (statement.includes("from migrations")) return lines(migrations)
  if (statement.includes("from writers"))
    return lines([...writers].map(([writer, values]) => [writer, ...values]))
  if (statement.includes("from system.settings")) return lines([["async_insert"], ["insert_deduplicate"]])
  const [, ...migration] =
    /insert into migrations .* values \('(.*?)', '(.*?)', '(.*?)'/.exec(statement) ?? []
  if (migration.length === 3) migrations = [...migrations, migration as [string, string, string]]
  if (statement.startsWith("insert into writers ")) {
    const length = body.readUInt8()
    const integers = [0, 8, 16].map((at) => Number(body.readBigInt64LE(1 + length + at)))
    writers.set(body.toString("utf8", 1, 1 + length), integers as [number, number, number])
  }
  return ""
}

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  maxRequestBodySize: 1e9,
  fetch: async (request) => {
    const { searchParams } = new URL(request.url)
    const query = searchParams.get("query")
    if (query?.startsWith("insert into events ")) {
      for await (const _ of request.body ?? []);
      return new Response("")
    }
    const body = Buffer.from(await request.arrayBuffer())
    return new Response(answer((query ?? body.toString()).trim(), body))
  },
})
process.stdout.write(`${server.port}\n`)
for await (const _ of Bun.stdin.stream());
process.exit()
