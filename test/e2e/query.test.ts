import { afterAll, beforeAll, expect, test } from "bun:test"
import { eventually, type Server, startServer, temporaryFolder } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"

const folder = temporaryFolder()
let server: Server

beforeAll(async () => {
  server = await startServer({ db: folder.file("query.db") })
  await send([
    {
      name: "bought",
      anonymousId: "ann",
      path: "/shop",
      properties: { plan: "pro", total: 30, city: "Paris, TX" },
    },
    { name: "bought", anonymousId: "bob", properties: { plan: "free", total: 5, city: "Rome" } },
    { name: "seen", anonymousId: "ann" },
    { name: "=1+1\u001b[31m", anonymousId: "ann", properties: { plan: "odd" } },
  ])
})
afterAll(async () => {
  await server.stop()
  folder[Symbol.dispose]()
})

async function send(events: unknown): Promise<void> {
  const headers = { authorization: `Bearer ${server.key}` }
  const response = await fetch(`${server.url}/track`, {
    method: "POST",
    headers,
    body: JSON.stringify(events),
  })
  expect(response.status).toBe(200)
}

function start(args: string[], env: Record<string, string> = {}) {
  return Bun.spawn([binary, ...args], {
    cwd: folder.path,
    env: environment(env),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
}

async function run(args: string[], env: Record<string, string> = {}) {
  const child = start(args, env)
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { code, out, err }
}

const ofFile = (...args: string[]) => run([...args, "--db", server.db])
const ofServer = (...args: string[]) => run([...args, "--url", server.url], { DATABUDDY_KEY: server.key })

test("one command queries events by a property", async () => {
  const { code, out, err } = await ofFile("query", "custom_events", "--last", "7d", "--by", "property.plan")
  expect({ code, err }).toEqual({ code: 0, err: "" })
  const [title, empty, heading, ...lines] = out.trimEnd().split("\n")
  expect(title).toMatch(/^all events, \d{4}-\d\d-\d\d 00:00 to \d{4}-\d\d-\d\d 00:00 UTC$/)
  expect(empty).toBe("")
  expect(heading).toMatch(/^NAME +PROPERTY\.PLAN +TOTAL_EVENTS/)
  expect(lines.map((line) => line.split(/ {2,}/).slice(0, 3))).toEqual([
    ["=1+1\\u{1b}[31m", "odd", "1"],
    ["bought", "free", "1"],
    ["bought", "pro", "1"],
    ["seen", "-", "1"],
  ])
})

test.each([
  ["week", "the previous calendar week; use --last 7d for the last 7 days"],
  ["month", "the previous calendar month; use --last 30d for the last 30 days"],
])("--last %s shows that it means %s, and suggests other ranges if it is empty", async (last, words) => {
  const { out } = await ofFile("query", "events", "--by", "path", "--last", last, "--where", "path=/nowhere")
  const [title, , ...lines] = out.trimEnd().split("\n")
  expect(title).toEndWith(` UTC: ${words}`)
  expect(lines).toEqual(["no results in this range; try --last 365d, or --from and --to"])
})

const filters: [string, string[]][] = [
  ["property.plan=pro", ["pro"]],
  ["property.plan!=pro", ["free", "odd", null as unknown as string]],
  ["property.total>10", ["pro"]],
  ["property.total<=5", ["free"]],
  ["property.plan~re", ["free"]],
  ["property.plan^=o", ["odd"]],
  ["property.plan in pro,odd", ["odd", "pro"]],
  ["!property.plan", [null as unknown as string]],
  ["property.plan!=one in two,three", ["free", "odd", "pro", null as unknown as string]],
  ["path", ["pro"]],
  ["property.plan IN pro,odd", ["odd", "pro"]],
  ["property.plan Not_In pro,odd", ["free", null as unknown as string]],
  ['property.city in "Paris, TX", Berlin', ["pro"]],
  ['property.city in ["Paris, TX","Rome"]', ["free", "pro"]],
  ['property.plan = "pro"', ["pro"]],
  ["property.plan='pro'", ["pro"]],
  ['{"field":"property.city","op":"in","value":["Rome"]}', ["free"]],
  ["property.plan$=o", ["pro"]],
  ["property.plan!^=p", ["free", "odd", null as unknown as string]],
  ["property.plan not_starts_with p", ["free", "odd", null as unknown as string]],
  ["property.total gte 30", ["pro"]],
  ["property.total exists", ["free", "pro"]],
  ["property.total EXISTS false", ["odd", null as unknown as string]],
]
test.each(filters)("--where %p selects events", async (filter, plans) => {
  const args = [
    "query",
    "events",
    "--by",
    "property.plan",
    "--measure",
    "events",
    "--where",
    filter,
    "--json",
  ]
  const { data } = JSON.parse((await ofFile(...args)).out)
  expect(data.map((row: Record<string, unknown>) => row["property.plan"])).toEqual(plans)
})

test("a server returns the same results as the file", async () => {
  const args = ["query", "goals", "--step", "bought where property.total>10 and path=/shop", "--json"]
  const [file, remote] = await Promise.all([ofFile(...args), ofServer(...args)])
  expect(JSON.parse(file.out).data).toEqual([
    { goal: "bought", completions: 1, converted: 1, total: 2, conversion_rate: 50 },
  ])
  expect(JSON.parse(remote.out).data).toEqual(JSON.parse(file.out).data)
})

test.each([
  ["bought where property.total>10 AND path=/shop", 1],
  ["bought WHERE property.total>10", 1],
  ["bought where path=/shop and property.city='Paris, TX'", 1],
  ['{"name":"bought","filters":[{"field":"property.total","op":"gt","value":10}]}', 1],
])("--step %p matches one event", async (step, completions) => {
  const { out } = await ofFile("query", "goals", "--step", step, "--json")
  expect(JSON.parse(out).data).toMatchObject([{ completions }])
})

test("CSV contains no formulas", async () => {
  const { out } = await ofFile("query", "events", "--by", "event_name", "--measure", "events", "--csv")
  expect(out).toBe("event_name,events\nbought,2\n'=1+1\u001b[31m,1\nseen,1\n")
})

test("a trend is compared with the previous period", async () => {
  const { out } = await ofFile("query", "custom_events_trends", "--last", "2d", "--compare")
  const [title, , ...lines] = out.trimEnd().split("\n")
  expect(title).toMatch(/ UTC, compared to \d{4}-\d\d-\d\d 00:00 to \d{4}-\d\d-\d\d \d\d:\d\d UTC$/)
  expect(lines[0]).toMatch(/PREVIOUS +CHANGE$/)
  expect(lines.length).toBe(3)
  expect(lines[2]).toMatch(/ 4 .* 0 +new$/)
})

test.each([
  ["year", / UTC, compared to 2025-03-01 00:00 to 2025-04-01 00:00 UTC$/],
  ["weekdays", / UTC, compared to 2026-01-25 00:00 to 2026-02-25 00:00 UTC$/],
  ["2026-01-05..2026-01-06", / UTC, compared to 2026-01-05 00:00 to 2026-01-07 00:00 UTC$/],
])("--compare %s shows the period that it compares with", async (comparison, words) => {
  const range = ["--from", "2026-03-01", "--to", "2026-03-31"]
  const { out } = await ofFile("query", "custom_events_summary", ...range, "--compare", comparison)
  expect(out.split("\n")[0]).toMatch(words)
})

test("movers show the values that explain a change, and compare by default", async () => {
  const args = ["query", "movers", "--last", "2d", "--where", "event_name=bought", "--measure", "events"]
  const [file, remote] = await Promise.all([ofFile(...args), ofServer(...args, "--json")])
  const [title, , heading, ...lines] = file.out.trimEnd().split("\n")
  expect(title).toContain("compared to")
  expect(heading).toMatch(
    /^FIELD +VALUE +EVENTS +DIFFERENCE +PERCENTAGE +EXPECTED_PERCENTAGE +IS_OFFSET +PREVIOUS +CHANGE$/,
  )
  expect(lines.join("\n")).toMatch(/property\.plan +pro +1 +1 +50 +50 +false +0 +new/)
  const { data, meta } = JSON.parse(remote.out)
  expect(data.length).toBe(lines.length)
  expect(meta.movers).toMatchObject({ total: 2, previous_total: 0, skipped: [] })
})

test("CSV has the columns of the previous period, even if its first row has none", async () => {
  const range = ["--from", "2026-03-01", "--to", "2026-04-30", "--granularity", "monthly", "--order", "desc"]
  const { out } = await ofFile("query", "custom_events_trends", ...range, "--compare", "--csv")
  const [heading, ...lines] = out.trimEnd().split("\n")
  expect(heading).toContain("previous.total_events")
  expect(lines).toHaveLength(2)
  for (const line of lines) expect(line.split(",")).toHaveLength(heading?.split(",").length ?? 0)
})

test("all websites can be selected, as over HTTP", async () => {
  const args = ["query", "custom_events_summary", "--website", "all", "--json"]
  const [file, remote] = await Promise.all([ofFile(...args), ofServer(...args)])
  expect(JSON.parse(file.out).data).toMatchObject([{ total_events: 4 }])
  expect(JSON.parse(remote.out).data).toEqual(JSON.parse(file.out).data)
})

const complaints: [string, string[], RegExp][] = [
  [
    "an unknown comparison",
    ["query", "custom_events", "--compare", "x"],
    /^error: --compare must be "year", "weekdays", or two dates/,
  ],
  ["an unknown type", ["query", "nope"], /^error: unknown type nope/],
  ["an unknown range", ["query", "custom_events", "--preset", "x"], /^error: --preset must be today/],
  [
    "text as a number",
    ["query", "custom_events", "--where", "path>x"],
    /^error: path>x: gt compares numbers/,
  ],
  ...["property.plan LIKE pro", "property.plan:pro", "property.plan==pro", "property.plan=~pr"].map(
    (filter): [string, string[], RegExp] => [
      `the filter ${filter}`,
      ["query", "custom_events", "--where", filter],
      /^error: property\.plan.* has no known operator: use one of = \(eq\), .*exists\n/,
    ],
  ),
  [
    "a list that ends with a comma",
    ["query", "custom_events", "--where", "property.plan in pro,"],
    /^error: property.plan in pro,: a value in the list is empty/,
  ],
  [
    "a field in another case",
    ["query", "custom_events", "--where", "Path=/x"],
    /^error: the field in --where must be event_name, .*property.plan, not "Path"/,
  ],
  [
    "an operator in another case, in JSON",
    ["query", "custom_events", "--where", '{"field":"path","op":"EQ","value":"/x"}'],
    /^error: the operator in --where must be eq, .* or exists, not "EQ"/,
  ],
  ["a breakdown in another case", ["query", "events", "--by", "Path"], /^error: --by must be .* not "Path"/],
  [
    "a measure in another case",
    ["query", "events", "--by", "path", "--measure", "Users"],
    /^error: --measure must be events, users, .* not "Users"/,
  ],
  [
    "a preset in another case",
    ["query", "events", "--preset", "TODAY"],
    /^error: --preset must be .* "TODAY"/,
  ],
  ...["7D", "today", "0d", "-1d", "1m", "year", "7", "", "99999d"].map((last): [string, string[], RegExp] => [
    `--last ${JSON.stringify(last)}`,
    ["query", "events", `--last=${last}`],
    /^error: --last must be .* or "month", not ".*"\nhint: for today, .* use --preset/,
  ]),
  [
    "an unknown unit of time",
    ["query", "funnel", "--step", "a", "--step", "b", "--window", "1x"],
    /^error: --window must be a duration/,
  ],
  ["an unknown time zone", ["query", "events", "--zone", "Nope"], /^error: --zone must be a time zone/],
  ["a day that does not exist", ["query", "events", "--from", "2026-02-30"], /^error: --from must be/],
  [
    "a range that ends before it starts",
    ["query", "events", "--from", "2026-02-03", "--to", "2026-02-01"],
    /^error: --to must/,
  ],
  ["an unknown website", ["query", "custom_events", "--website", "x"], /^error: no website has the ID x/],
]
test.each(complaints)("%s is reported", async (_, args, complaint) => {
  const { code, out, err } = await ofFile(...args)
  expect({ code, out }).toEqual({ code: 1, out: "" })
  expect(err).toMatch(complaint)
})

test("the overview shows the numbers of the last 30 days", async () => {
  const { out } = await ofFile("stats")
  expect(out).toMatch(/^last 30d +4 +2 +0 +0 +new$/m)
  expect(out).toMatch(/^▁{29}█$/m)
  const { names } = JSON.parse((await ofServer("stats", "--json")).out)
  expect(names[0]).toMatchObject({ name: "bought", total_events: 2 })
})

test("events are queried and counted by kind", async () => {
  const db = folder.file("pages.db")
  const line = { type: "event", website_id: null, timestamp: Date.now() - 1_000, anonymous_id: "ann" }
  const lines = [
    { ...line, name: "signed_up" },
    { ...line, name: "screen_view", kind: "page_view", path: "/pricing", country: "DE" },
    { ...line, name: "screen_view", kind: "page_view", path: "/blog", country: "FR" },
  ]
  await Bun.write(folder.file("pages.ndjson"), lines.map((one) => JSON.stringify(one)).join("\n"))
  const ofPages = async (...args: string[]) => {
    const { code, out, err } = await run([...args, "--db", db])
    expect({ code, err }).toEqual({ code: 0, err: "" })
    return out
  }
  expect((await run(["import", "pages.ndjson", "--db", db])).code).toBe(0)
  const views = ["query", "events", "--kind", "page_view", "--last", "7d", "--measure", "events", "--csv"]
  expect(await ofPages(...views, "--by", "country")).toBe("country,events\nDE,1\nFR,1\n")
  const steps = ["--step", '{"page":"/pri*"}', "--step", "signed_up"]
  const funnel = JSON.parse(await ofPages("query", "funnel", "--last", "7d", ...steps, "--json"))
  expect(funnel.data.map(({ event_name }: { event_name: string }) => event_name)).toEqual([
    "/pri*",
    "signed_up",
  ])
  const people = ["query", "people", "--last", "7d", "--step", "signed_up", "--reached", "1", "--csv"]
  for (const [value, found] of [
    ["--value=pro", 0],
    ["--no-value", 1],
  ] as const)
    expect((await ofPages(...people, "--by", "property.plan", value)).trim().split("\n").length - 1).toBe(
      found,
    )
  const stats = await ofPages("stats")
  expect(stats).toContain("events by kind")
  expect(stats).toMatch(/^page_view +2 +1/m)
  expect((await ofFile("stats")).out).not.toContain("by kind")
})

test("events tail follows the file and a server until it is stopped", async () => {
  const file = start(["events", "tail", "--name", "live", "--db", server.db])
  const remote = start(["events", "tail", "--name", "live", "--json", "--url", server.url], {
    DATABUDDY_KEY: server.key,
  })
  const outs = ["", ""]
  const reading = [file, remote].map(async ({ stdout }, index) => {
    for await (const chunk of stdout) outs[index] += new TextDecoder().decode(chunk)
  })
  // Neither command reports that it has started to follow, so events are sent until both have printed one.
  await eventually(async () => {
    await send([{ name: "live", properties: { a: 1 } }, { name: "other" }])
    await Bun.sleep(300)
    return outs.every((out) => out !== "")
  })
  for (const child of [file, remote]) child.kill("SIGTERM")
  expect(await Promise.all([file.exited, remote.exited])).toEqual([0, 0])
  await Promise.all(reading)
  expect(outs.join("")).not.toContain("other")
  expect(outs[0]).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}live {2}- {2}- {2}- {2}\{"a":1\}$/m)
  expect(JSON.parse(outs[1]?.split("\n")[0] ?? "")).toMatchObject({
    event_name: "live",
    properties: { a: 1 },
  })
}, 20_000)
