import { afterAll, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Database } from "../../src/store/db/driver.ts"
import { eventually, startServer, temporaryFolder } from "../harness.ts"
import { openNotifySocket } from "../support/notify-socket.ts"
import { repository } from "../support/repository.ts"

// What the server tells systemd. systemd itself is not needed, because the tests open the socket that it would open.

const folder = temporaryFolder()
afterAll(() => folder[Symbol.dispose]())

const signOfLife = "WATCHDOG=1"
const ready = "READY=1\nSTATUS=accepting requests"
const stopping = "STOPPING=1\nSTATUS=finishing accepted requests"

describe.skipIf(process.platform !== "linux")("the service manager", () => {
  test.each([
    ["in the file system", folder.file("notify")],
    ["in the abstract namespace", `@databuddy-test-${process.pid}`],
  ])("is told on a socket %s that the server is ready and that it is stopping", async (_, name) => {
    using socket = openNotifySocket(name)
    const server = await startServer({ db: folder.file("notify.db"), env: { NOTIFY_SOCKET: name } })
    await eventually(() => socket.messages().length > 0)
    expect(socket.messages()).toEqual([ready])
    await server.stop()
    expect(socket.messages()).toEqual([ready, stopping])
  })

  test("is told to wait for an upgrade of the database", async () => {
    const db = folder.file("old.db")
    const old = new Database(db)
    old.exec(readFileSync(join(repository, "test/fixtures/schema-0003.sql"), "utf8"))
    old.close()
    using socket = openNotifySocket(folder.file("upgrade"))
    const server = await startServer({ db, env: { NOTIFY_SOCKET: folder.file("upgrade") } })
    await server.stop()
    expect(socket.messages()).toEqual([
      "EXTEND_TIMEOUT_USEC=86400000000\nSTATUS=upgrading the database",
      ready,
      stopping,
    ])
  })

  test("gets keep-alives until the process hangs", async () => {
    const name = folder.file("watchdog")
    using socket = openNotifySocket(name)
    // The queue of the socket holds about ten messages. With more frequent keep-alives, a delay of the test process
    // could lose other messages.
    const env = { NOTIFY_SOCKET: name, WATCHDOG_USEC: "400000" }
    const server = await startServer({ db: folder.file("watchdog.db"), env })
    const signs = () => socket.messages().filter((message) => message === signOfLife).length
    await eventually(() => signs() >= 3)
    expect(socket.messages()[0]).toBe(ready)
    process.kill(server.pid, "SIGSTOP")
    // Waits for messages that were sent before the signal took effect.
    await Bun.sleep(100)
    const before = signs()
    await Bun.sleep(600)
    expect(signs()).toBe(before)
    process.kill(server.pid, "SIGCONT")
    await eventually(() => signs() > before)
    await server.stop()
    expect(socket.messages().filter((message) => message !== signOfLife)).toEqual([ready, stopping])
  })

  test.each([
    ["the watchdog is meant for another process", { WATCHDOG_USEC: "20000", WATCHDOG_PID: "1" }],
    ["there is no watchdog", {}],
  ])("gets no keep-alives if %s", async (_, variables) => {
    const name = folder.file("silent")
    using socket = openNotifySocket(name)
    const server = await startServer({
      db: folder.file("silent.db"),
      env: { NOTIFY_SOCKET: name, ...variables },
    })
    await Bun.sleep(200)
    await server.stop()
    expect(socket.messages()).toEqual([ready, stopping])
    await Bun.file(name).delete()
  })

  test.each([
    ["no process reads", folder.file("unread")],
    ["is not on this machine", "vsock:2:1234"],
  ])("is not required: a server with a socket that %s starts and stops", async (_, name) => {
    const env = { NOTIFY_SOCKET: name, WATCHDOG_USEC: "20000" }
    const server = await startServer({ db: folder.file("alone.db"), env })
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
    expect(await server.stop()).toBe(0)
  })
})
