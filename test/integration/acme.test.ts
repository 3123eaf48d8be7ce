import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { X509Certificate } from "node:crypto"
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { AcmeCertificate, type AcmeOptions } from "../../src/acme/renewal.ts"
import { UserError } from "../../src/errors.ts"
import type { LogFields } from "../../src/log.ts"
import type { Tls } from "../../src/server/tls.ts"
import { eventually, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { type AcmeServer, startAcmeServer } from "../support/acme-server.ts"

const [hour, day] = [3_600_000, 86_400_000]
const minute = 60_000

/** A clock that moves only when `advance` is called. `sleep` waits for it. */
class TestClock {
  now = Date.UTC(2026, 7, 1, 12)
  #sleepers: { until: number; resolve: () => void }[] = []

  sleep = (ms: number) =>
    new Promise<void>((resolve) => void this.#sleepers.push({ until: this.now + ms, resolve }))

  /** Moves the clock forward, stopping at the end of each sleep. Before each step, waits until something sleeps. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms
    while (this.now < end) {
      await this.idle()
      this.now = Math.min(end, Math.max(this.now, Math.min(...this.#sleepers.map(({ until }) => until))))
      this.#wake()
    }
  }

  #wake(): void {
    const due = this.#sleepers.filter(({ until }) => until <= this.now)
    this.#sleepers = this.#sleepers.filter(({ until }) => until > this.now)
    for (const { resolve } of due) resolve()
  }

  /** Resolves when something sleeps, which means that nothing else is in progress. */
  idle = () => eventually(() => this.#sleepers.length > 0, { pause: 0 })
}

interface Running {
  acme: AcmeCertificate
  installed: Tls[]
  /** Rejects if the first certificate cannot be used. */
  running: Promise<void>
  /** The address of its HTTP server. */
  http: string
}

let folder: TemporaryFolder
let authority: AcmeServer
let clock: TestClock
let logged: ({ level: string; message: string } & LogFields)[]
/** The value of every random byte. */
let random = 0
const stops: (() => Promise<void>)[] = []

beforeEach(async () => {
  folder = temporaryFolder()
  clock = new TestClock()
  authority = await startAcmeServer(() => clock.now)
  logged = []
  random = 0
})

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
  authority[Symbol.dispose]()
  folder[Symbol.dispose]()
})

function open(changes: Partial<AcmeOptions> = {}): AcmeCertificate {
  const options = {
    host: "127.0.0.1",
    port: 443,
    acme: ["events.example.com"],
    acmeDirectory: authority.directory,
    acmeHttpPort: 0,
    ...changes,
  }
  return new AcmeCertificate(
    options,
    folder.file("databuddy.db"),
    {
      environment: {
        now: () => clock.now,
        elapsed: () => clock.now,
        random: (bytes) => bytes.fill(random),
        pid: 1,
      },
      sleep: clock.sleep,
    },
    (level, message, fields) => logged.push({ level, message, ...fields }),
    { min: 1, max: 5 },
  )
}

/**
 * Starts in the same way as `serve`, on a port that the authority can reach. `install` runs before each installation
 * and can throw.
 */
function start(changes: Partial<AcmeOptions> = {}, install = () => {}): Running {
  const acme = open(changes)
  const installed: Tls[] = []
  const port = acme.listen(443)
  authority.challengePort = port
  const running = acme.run(async (tls) => {
    install()
    installed.push(tls)
  })
  stops.push(async () => {
    await acme.stop()
    await running.catch(() => {})
  })
  return { acme, installed, running, http: `http://127.0.0.1:${port}` }
}

const lines = (level: string) => logged.filter((line) => line.level === level)
const failures = () => logged.filter(({ message }) => /no certificate yet|not renewed/.test(message))
/** Waits for the failure with this number, counted from 1, and returns its log line. */
async function failure(number = 1): Promise<LogFields> {
  await eventually(() => failures().length >= number)
  return failures()[number - 1] ?? {}
}
const subfolder = () => join(folder.file("acme"), readdirSync(folder.file("acme"))[0] ?? "")
const stored = () => join(subfolder(), "certificate.pem")
/** Time until the next attempt according to a log line, in ms. */
const waitOf = (line: LogFields) => Date.parse(String(line.next_attempt)) - clock.now

/** Obtains and stores a certificate, as an earlier run of the server would. */
async function issueFirst(): Promise<void> {
  const { installed } = start()
  await eventually(() => installed.length > 0)
  await stops.pop()?.()
  logged = []
}

describe("a certificate", () => {
  test("is obtained and stored with its key, readable only by this user", async () => {
    const { acme, installed } = start({ acmeEmail: "ops@example.com" })
    expect([acme.tls, acme.state.expiresAt]).toEqual([undefined, 0])
    await eventually(() => installed.length > 0)
    const [tls] = installed
    expect(authority.issued).toEqual([["events.example.com"]])
    expect([...authority.accounts.values()]).toEqual([["mailto:ops@example.com"]])
    expect(acme.state).toEqual({
      expiresAt: clock.now + 90 * day,
      renewals: { failures: 0, lastFailure: 0 },
    })
    const text = readFileSync(stored(), "utf8")
    expect(text).toBe(String(tls?.key) + String(tls?.cert))
    expect(new X509Certificate(tls?.cert ?? "").verify(new X509Certificate(authority.ca).publicKey)).toBe(
      true,
    )
    expect(readdirSync(subfolder()).sort()).toEqual(["account-key.pem", "certificate.pem"])
    for (const path of [stored(), join(subfolder(), "account-key.pem")])
      expect(statSync(path).mode & 0o777).toBe(0o600)
    for (const path of [subfolder(), folder.file("acme")]) expect(statSync(path).mode & 0o777).toBe(0o700)
    expect(lines("info").map(({ message }) => message)).toEqual([
      "requesting a certificate",
      "obtained a certificate",
    ])
  })

  test("covers all names", async () => {
    const { installed } = start({ acme: ["events.example.com", "stats.example.org"] })
    await eventually(() => installed.length > 0)
    const [tls] = installed
    expect(authority.issued).toEqual([["events.example.com", "stats.example.org"]])
    expect(
      ["events.example.com", "stats.example.org", "example.com"].map((name) => tls?.covers(name)),
    ).toEqual([true, true, false])
  })

  test("is reused after a restart, without requests to the authority", async () => {
    await issueFirst()
    authority.counts.requests = 0
    const { acme, installed } = start()
    await clock.idle()
    expect(acme.tls?.covers("events.example.com")).toBe(true)
    expect([authority.counts.requests, installed]).toEqual([0, []])
    expect(logged.map(({ message }) => message)).toEqual(["using the stored certificate"])
  })

  test("is replaced after a restart with an additional name, and is used until then", async () => {
    await issueFirst()
    const { acme, installed } = start({ acme: ["events.example.com", "new.example.com"] })
    expect(acme.tls).toBeDefined()
    await eventually(() => installed.length > 0)
    expect(authority.issued.at(-1)).toEqual(["events.example.com", "new.example.com"])
    expect(authority.accounts.size).toBe(1)
  })

  test("from one authority is not used with another", async () => {
    await issueFirst()
    using other = await startAcmeServer(() => clock.now)
    expect(open({ acmeDirectory: other.directory }).tls).toBeUndefined()
  })

  test("is renewed when a third of its lifetime is left", async () => {
    const { acme, installed } = start()
    await eventually(() => installed.length === 1)
    await clock.advance(60 * day - minute)
    await clock.idle()
    expect(authority.counts.orders).toBe(1)
    await clock.advance(minute)
    await eventually(() => installed.length === 2)
    expect(acme.tls).toBe(installed[1] as Tls)
    expect(installed[1]?.key.equals(installed[0]?.key ?? Buffer.of())).toBe(false)
    expect(acme.state.expiresAt).toBe(clock.now + 90 * day)
    expect(authority.accounts.size).toBe(1)
  })

  test("with a lifetime of six days is renewed after four", async () => {
    authority.behaviour.lifetime = 6 * day
    const { installed } = start()
    await eventually(() => installed.length === 1)
    await clock.advance(4 * day)
    await eventually(() => installed.length === 2)
  })

  test("that is already due for renewal when it is issued is renewed once an hour", async () => {
    authority.behaviour.age = 80 * day
    const { installed } = start()
    await eventually(() => installed.length === 1)
    await clock.advance(hour - 1)
    await clock.idle()
    expect(authority.counts.orders).toBe(1)
    await clock.advance(1)
    await eventually(() => installed.length === 2)
  })
})

describe("a stored certificate is replaced if it", () => {
  const damages: [string, (pem: string) => string][] = [
    ["is cut off", (pem) => pem.slice(0, pem.length / 3)],
    ["is empty", () => ""],
    ["is not PEM", () => "hello\n"],
    ["has no key", (pem) => pem.slice(pem.indexOf("-----BEGIN CERTIFICATE"))],
    ["is damaged", (pem) => pem.replace(/(?<=BEGIN CERTIFICATE-----\n)[\w+/]{8}/, "AAAAAAAA")],
    [
      "has a damaged certificate of the authority",
      (pem) => `${pem}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    ],
  ]
  test.each(damages)("%s", async (_, damage) => {
    await issueFirst()
    writeFileSync(stored(), damage(readFileSync(stored(), "utf8")))
    const { acme, installed } = start()
    expect([acme.tls, lines("warn").map(({ message }) => message)]).toEqual([
      undefined,
      ["the stored certificate cannot be used; requesting another"],
    ])
    await eventually(() => installed.length > 0)
    expect(open().tls?.cert).toEqual(installed[0]?.cert as Buffer)
  })

  test("has expired, but is used until then", async () => {
    await issueFirst()
    clock.now += 91 * day
    const { acme, installed } = start()
    expect(acme.tls).toBeDefined()
    expect(lines("warn")[0]?.message).toContain("the certificate expired on")
    await eventually(() => installed.length > 0)
  })
})

test("a damaged account key is replaced", async () => {
  await issueFirst()
  writeFileSync(join(subfolder(), "account-key.pem"), "damaged")
  const { installed } = start({ acme: ["other.example.com"] })
  await eventually(() => installed.length > 0)
  expect(authority.accounts.size).toBe(2)
})

test("a nonce that the authority does not know is replaced", async () => {
  authority.behaviour.badNonces = 2
  const { installed } = start()
  await eventually(() => installed.length > 0)
  expect(failures()).toEqual([])
})

describe("after a failure", () => {
  const causes: {
    when: string
    change: () => void
    error: RegExp
    hint: RegExp
    /** ms until the next attempt, without jitter. */
    wait: number
  }[] = [
    {
      when: "the authority does not get the expected response to its challenge",
      change: () => {
        authority.challengePort = Number(new URL(authority.directory).port)
      },
      error: /^events\.example\.com: wrong answer to the challenge$/,
      hint: /the authority must be able to reach port 80 on events\.example\.com.*check DNS.*SIGHUP/,
      wait: 5 * minute,
    },
    {
      when: "the authority rate-limits requests",
      change: () => {
        authority.behaviour.rateLimit = String(3 * 3_600)
      },
      error: /^127\.0\.0\.1:\d+ answered 429 rateLimited: too many certificates$/,
      hint: /acme-staging/,
      wait: 3 * hour,
    },
    {
      when: "the authority asks for a shorter wait than the default",
      change: () => {
        authority.behaviour.rateLimit = "1"
      },
      error: /rateLimited/,
      hint: /wait/,
      wait: 5 * minute,
    },
    {
      when: "the authority asks for a wait of several years",
      change: () => {
        authority.behaviour.rateLimit = "99999999"
      },
      error: /rateLimited/,
      hint: /wait/,
      wait: day,
    },
    {
      when: "the authority is down",
      change: () => authority[Symbol.dispose](),
      error: /^127\.0\.0\.1:\d+ cannot be reached: /,
      hint: /network connection, this machine's clock.*--acme-directory/,
      wait: minute / 2,
    },
    {
      when: "the authority has an outage",
      change: () => {
        authority.behaviour.outage = 503
      },
      error: /^127\.0\.0\.1:\d+ answered 503$/,
      hint: /network/,
      wait: minute / 2,
    },
    {
      when: "the address is not an ACME directory",
      change: () => {
        authority.behaviour.outage = 404
      },
      error: /^127\.0\.0\.1:\d+ answered 404$/,
      hint: /--acme-directory/,
      wait: 5 * minute,
    },
    {
      when: "the certificate has other names",
      change: () => {
        authority.behaviour.issuedNames = ["other.example.com"]
      },
      error: /does not cover: events\.example\.com/,
      hint: /--acme-directory/,
      wait: 5 * minute,
    },
  ]

  test.each(causes)("because $when, it waits and logs what to do", async ({ change, error, hint, wait }) => {
    const { acme, installed } = start()
    // The first order starts after the test's next await.
    change()
    const line = await failure()
    expect(line).toMatchObject({
      level: "error",
      message: "no certificate yet; HTTPS starts once there is one",
      error: expect.stringMatching(error),
      hint: expect.stringMatching(hint),
    })
    expect(waitOf(line)).toBe(wait)
    expect([acme.state.renewals, acme.tls, installed]).toEqual([
      { failures: 1, lastFailure: clock.now },
      undefined,
      [],
    ])
  })

  test("it retries after 5, 10, 20, 40 and then every 60 minutes", async () => {
    authority.behaviour.rateLimit = "1"
    start()
    for (const [index, minutes] of [5, 10, 20, 40, 60, 60].entries()) {
      const line = await failure(index + 1)
      expect(waitOf(line)).toBe(minutes * minute)
      await clock.advance(minutes * minute - 1)
      await clock.idle()
      expect(authority.counts.orders).toBe(index + 1)
      await clock.advance(1)
    }
  })

  test.each([
    [0, 300_000],
    [128, 337_647],
    [255, 375_000],
  ])("with the random byte %d, it waits %d ms instead of 300000", async (byte, wait) => {
    random = byte
    authority.behaviour.rateLimit = "1"
    start()
    expect(waitOf(await failure())).toBe(wait)
  })

  test("it obtains the certificate at the next attempt, and later failures start again with short waits", async () => {
    authority.behaviour.rateLimit = "1"
    const { acme, installed } = start()
    await failure()
    await clock.advance(5 * minute)
    await failure(2)
    authority.behaviour.rateLimit = undefined
    await clock.advance(10 * minute)
    await eventually(() => installed.length === 1)
    expect(acme.state.renewals.failures).toBe(2)
    authority.behaviour.rateLimit = "1"
    await clock.advance(60 * day)
    expect(waitOf(await failure(3))).toBe(5 * minute)
  })

  test("a reload retries immediately", async () => {
    authority.behaviour.rateLimit = "7200"
    const { acme, installed } = start()
    await failure()
    authority.behaviour.rateLimit = undefined
    await clock.idle()
    expect(acme.retryNow()).toBe(true)
    await eventually(() => installed.length === 1)
    expect(acme.retryNow()).toBe(false)
  })

  test("to renew, the previous certificate stays in use, and failures are logged as errors once it expires", async () => {
    authority.behaviour.lifetime = 3 * day
    const { acme, installed } = start()
    await eventually(() => installed.length === 1)
    authority.behaviour.outage = 500
    await clock.advance(2 * day)
    const { level, message, valid_to } = await failure()
    expect([level, message, valid_to]).toEqual([
      "warn",
      "the certificate was not renewed; the previous one stays in use",
      installed[0]?.validTo,
    ])
    expect(acme.tls).toBe(installed[0] as Tls)
    await clock.advance(day + 2 * hour)
    expect(failures().at(-1)?.level).toBe("error")
    authority.behaviour.outage = undefined
    await clock.advance(hour)
    await eventually(() => installed.length === 2)
  })
})

describe("a certificate that the listener rejects", () => {
  const rejectNext = { isOn: false }
  const install = () => {
    if (!rejectNext.isOn) return
    rejectNext.isOn = false
    throw new UserError("too many open files", "raise the limit")
  }

  test("is installed later without another order, and the previous one stays in use until then", async () => {
    const { acme, installed } = start({}, install)
    await eventually(() => acme.state.expiresAt > 0)
    rejectNext.isOn = true
    await clock.advance(60 * day)
    expect(await failure()).toMatchObject({ error: "too many open files", hint: "raise the limit" })
    expect([acme.tls, acme.state.expiresAt]).toEqual([installed[0], clock.now + 30 * day])
    await clock.advance(5 * minute)
    await eventually(() => installed.length === 2)
    expect(authority.counts.orders).toBe(2)
  })

  test("stops the server if it is the first one, but is stored", async () => {
    rejectNext.isOn = true
    const { running, acme } = start({}, install)
    expect(await running.catch((error: Error) => error.message)).toBe("too many open files")
    expect(acme.tls).toBeUndefined()
    expect(open().tls).toBeDefined()
  })
})

test("keys are never logged", async () => {
  authority.behaviour.rateLimit = "1"
  start()
  await failure()
  authority.behaviour.rateLimit = undefined
  await clock.advance(5 * minute)
  await eventually(() => logged.some(({ message }) => message === "obtained a certificate"))
  const pems = ["account-key.pem", "certificate.pem"].map((name) =>
    readFileSync(join(subfolder(), name), "utf8"),
  )
  const keyLines = pems.flatMap((pem) => pem.split("-----END PRIVATE KEY")[0]?.split("\n").slice(1, -1) ?? [])
  expect(keyLines.length).toBeGreaterThan(3)
  for (const line of keyLines) expect(JSON.stringify(logged)).not.toContain(line)
})

describe("the folder", () => {
  test("is set by --acme-dir", async () => {
    const { installed } = start({ acmeDir: folder.file("certificates") })
    await eventually(() => installed.length > 0)
    expect(readdirSync(folder.path)).toEqual(["certificates"])
  })

  const isRoot = process.getuid?.() === 0
  test.skipIf(isRoot)("must be writable", () => {
    mkdirSync(folder.file("acme"))
    chmodSync(folder.file("acme"), 0o500)
    expect(() => open()).toThrow("cannot be written to (EACCES)")
  })

  test("must be a folder", () => {
    writeFileSync(folder.file("acme"), "")
    expect(() => open()).toThrow(/cannot be written to \((?:ENOTDIR|EEXIST)\)/)
  })
})

describe("on the HTTP port,", () => {
  const ask = (http: string, path: string, host: string, method = "GET") =>
    fetch(http + path, { method, headers: { Host: host }, redirect: "manual" })

  test.each([
    ["events.example.com", "/a/b?c=d", "https://events.example.com/a/b?c=d"],
    ["EVENTS.example.com:80", "/", "https://events.example.com/"],
    ["events.example.com.", "/%2Fevil.example/", "https://events.example.com/%2Fevil.example/"],
    ["stats.example.org", "/x", "https://stats.example.org/x"],
  ])("a request for %s%s is redirected", async (host, path, location) => {
    const { http, installed } = start({ acme: ["events.example.com", "stats.example.org"] })
    await eventually(() => installed.length > 0)
    for (const method of ["GET", "POST"]) {
      const response = await ask(http, path, host, method)
      expect([response.status, response.headers.get("location")]).toEqual([308, location])
    }
  })

  test.each(["evil.example", "127.0.0.1", "x.events.example.com", ""])(
    "a request for %p is rejected",
    async (host) => {
      const { http, installed } = start()
      await eventually(() => installed.length > 0)
      const response = await ask(http, "/", host)
      expect([response.status, response.headers.get("location")]).toEqual([421, null])
    },
  )

  test("a challenge that is not in progress is not found", async () => {
    const { http, installed } = start()
    await eventually(() => installed.length > 0)
    const response = await ask(http, "/.well-known/acme-challenge/x", "events.example.com")
    expect(response.status).toBe(404)
  })

  test("requests are not redirected before HTTPS starts, but health checks are answered", async () => {
    authority.behaviour.outage = 500
    const { http } = start()
    await failure()
    const cases = [
      ["/health", "127.0.0.1", 200, '{"status":"ok"}', null],
      ["/ready", "127.0.0.1", 503, '{"status":"no_certificate"}', "30"],
      ["/track", "events.example.com", 503, "this server's certificate is being requested\n", "30"],
      ["/", "evil.example", 421, "this server does not have the name in the Host header\n", null],
    ] as const
    for (const [path, host, status, body, retryAfter] of cases) {
      const response = await ask(http, path, host)
      expect([response.status, await response.text(), response.headers.get("retry-after")]).toEqual([
        status,
        body,
        retryAfter,
      ])
    }
  })

  test.each([
    [80, 443, "https://events.example.com"],
    [80, 8443, "https://events.example.com:8443"],
    [8080, 4000, "https://events.example.com"],
  ])("with HTTP on port %d and HTTPS on port %d, the public address is %s", (acmeHttpPort, port, origin) => {
    expect(open({ acmeHttpPort }).originOf(port)).toBe(origin)
  })

  test("a port that is already in use is reported", () => {
    const used = Number(new URL(authority.directory).port)
    expect(() => open({ acmeHttpPort: used }).listen(443)).toThrow(
      `port ${used} on 127.0.0.1 is used by another process`,
    )
  })
})
