// A ClickHouse server inside this process, for tests: bun clickhouse-engine.ts <libchdb.so> <folder> <http port> <tcp port> [configuration].
// The library has no function for listening, but it runs statements like clickhouse-local. It accepts every password.
import { dlopen, ptr } from "bun:ffi"

const [library = "", folder = "", httpPort = "", tcpPort = "", config] = process.argv.slice(2)
const { symbols } = dlopen(library, { chdb_query_cmdline: { args: ["i32", "ptr"], returns: "ptr" } })
const statements = [
  "system start listen http",
  "system start listen tcp",
  // Keeps the process running for longer than any test, without using CPU time.
  "select sleepEachRow(3) from numbers(1000000) settings max_block_size = 1, function_sleep_max_microseconds_per_block = 0 format Null",
]
const flags = ["--path", folder, "--listen_host=127.0.0.1", "--http_port", httpPort, "--tcp_port", tcpPort]
if (config !== undefined) flags.push("--config-file", config)
// Referenced until the call ends, because the pointers do not keep the buffers alive.
const texts = ["clickhouse", ...flags, "--query", statements.join("; ")].map((text) =>
  Buffer.from(`${text}\0`),
)
const pointers = new BigUint64Array([...texts.map((text) => BigInt(ptr(text))), 0n])
symbols.chdb_query_cmdline(texts.length, ptr(pointers))
