// The upper limit: a server that parses the JSON and returns a constant response, without validating or storing
// anything.
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  reusePort: false,
  async fetch(request) {
    await request.json()
    return new Response('{"status":"success","type":"custom_event","count":1}', {
      headers: { "content-type": "application/json" },
    })
  },
})
process.stdout.write(`http://127.0.0.1:${server.port} dbdy_${"x".repeat(32)}\n`)
process.on("SIGTERM", () => process.exit(0))
