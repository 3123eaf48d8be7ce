import { eventKinds } from "../../src/event-kinds.ts"
import type { Dimension, Property } from "../../src/query/fields.ts"
import { type OperatorInfo, operatorNames, operators } from "../../src/query/operators.ts"
import {
  type Filter,
  type Granularity,
  type GroupsPage,
  type Measure,
  type Query,
  type ReportCount,
  type RetentionQuery,
  type Scope,
  type Step,
  trafficKinds,
  type Unit,
} from "../../src/query/query.ts"
import { contextFields } from "../../src/store/contexts.ts"
import type { Pick } from "../support/random.ts"
import { contextValues, keys, names, pageNames, paths, plans, timeNear, type World } from "./events.ts"

const hour = 3_600_000
const day = 24 * hour

const zones = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Asia/Kathmandu",
  "Australia/Lord_Howe",
  "Pacific/Chatham",
  "Pacific/Apia",
]
const fields = [
  "event_name",
  "namespace",
  "source",
  "path",
  "profile_id",
  "anonymous_id",
  "session_id",
  "website_id",
  "kind",
  "query_string",
  ...contextFields,
] as const
const properties: Property[] = [
  ...keys.map((key): Property => `property.${key}`),
  "property.cart.total",
  "property.cart.b.c",
  "property.cart.__proto__",
  "property.mixed.total",
  "property.mixed.0",
  "property.mixed.2.b.c",
  "property.mixed.a.b",
  "property.mixed.a.b.total",
  "property.mixed.length",
  "property.items.0.sku",
  "property.items.1",
  "property.items.00",
  "property.mixed.",
  "property.nowhere",
  "property.big",
]
const numbers: Property[] = [
  "property.n",
  "property.n",
  "property.cart.total",
  "property.big",
  "property.mixed",
  "property.mixed.0",
  "property.items.0.n",
]
const taking = (...what: OperatorInfo["operandType"][]) =>
  operatorNames.filter((op) => what.includes(operators[op].operandType))
const texts = taking("text", "list")
const compare = taking("number")

/** A value that a dimension is likely to have. */
function someValueOf(dimension: Dimension, random: Pick): string | null {
  if (random.chance(0.1)) return null
  if (dimension === "event_name") return random.of([...names, ...pageNames])
  if (dimension === "kind") return random.of(eventKinds)
  if (isContextField(dimension)) return random.of(contextValues)
  return dimension === "path" ? random.of(paths) : random.of(plans)
}

function isContextField(field: string): boolean {
  return contextFields.some((one) => one === field)
}

/** Never sorted by sums, because rounding can change the order of equal sums. */
function somePage(by: readonly Dimension[], measures: readonly Measure[], world: World): GroupsPage {
  const { random } = world
  const exact = measures.flatMap((measure, index) =>
    typeof measure === "object" && (measure.what === "sum" || measure.what === "avg") ? [] : [index],
  )
  const isByMeasure = exact.length > 0 && random.chance(0.7)
  const isCompared = random.chance(0.4)
  const measure = isByMeasure ? random.of(exact) : 0
  return {
    order: !isByMeasure
      ? { by: random.whole(0, by.length - 1) }
      : isCompared && random.chance(0.4)
        ? random.of([{ change: measure }, { weightedChange: measure }])
        : { measure },
    descending: random.chance(0.5),
    offset: random.of([0, 0, 1, 5]),
    limit: random.of([1, 3, 10, 1_000]),
    ...(isCompared && { previous: somePeriod(world) }),
  }
}

function somePeriod(world: World): { from: number; to: number } {
  const [from, to] = [timeNear(world), timeNear(world)].sort((one, other) => one - other) as [number, number]
  return { from, to: Math.max(to, from + 1) }
}

export type Kind = Query["kind"]

/** The longest range for each granularity. It is limited because the reference goes through a range in small steps. */
const longest: Record<Granularity, number> = {
  minute: 6 * hour,
  hourly: 5 * day,
  daily: 90 * day,
  weekly: 90 * day,
  monthly: 200 * day,
}

function someScope(world: World, mostDays = 100): Scope {
  const { random, websites } = world
  let [from, to] = [timeNear(world), timeNear(world)].sort((one, other) => one - other) as [number, number]
  if (random.chance(0.4)) [from, to] = [world.center - 50 * day, world.center + 50 * day]
  if (to - from > mostDays * day) {
    from = Math.max(from, world.center - Math.floor((mostDays * day) / 2))
    to = Math.min(to, from + mostDays * day)
  }
  const some = websites.map((website) => website?.rid ?? 0).filter(() => random.chance(0.7))
  return {
    websites: some.length > 0 ? some : [1],
    from,
    to: Math.max(to, from + 1),
    zone: random.of(zones),
    filters: [...(random.chance(0.4) ? [] : someFilters(random)), ...someProfile(random)],
    crawlers: random.chance(0.3),
    kinds: random.of([
      ["custom"],
      ["custom", "page_view"],
      eventKinds,
      eventKinds.filter(() => random.chance(0.5)),
    ]),
  }
}

function someProfile(random: Pick): Filter[] {
  const value = random.of([someOperand(random, "profile"), "only linked 1", "customer 3", "nobody"])
  return random.chance(0.1) ? [{ field: "profile", op: "eq", value }] : []
}

function someFilters(random: Pick, most = 2): Filter[] {
  return Array.from({ length: random.whole(1, most) }, () => someFilter(random))
}

function someFilter(random: Pick): Filter {
  const field = random.chance(0.5)
    ? random.of(fields)
    : random.chance(0.9)
      ? random.of(properties)
      : ("property_key" as const)
  if (random.chance(0.12)) return { field, op: "exists", value: random.chance(0.5) }
  const value = () => someOperand(random, field)
  if (field.startsWith("property.") && random.chance(0.3)) {
    return { field, op: random.of(compare), value: random.of([0, 1, 5, -2.5, 0.3, 20, 1e15]) }
  }
  const op = random.of(texts)
  if (operators[op].operandType === "list") {
    return { field, op, value: Array.from({ length: random.whole(1, 4) }, value) }
  }
  const one = value()
  const isPart = operators[op].lookup === "text" && random.chance(0.7)
  const length = random.whole(0, 3)
  const part = random.chance(0.5) ? String(one).slice(0, length) : String(one).slice(-length)
  return { field, op, value: isPart ? part : one }
}

function someOperand(random: Pick, field: Filter["field"]): string | number | boolean {
  switch (field) {
    case "event_name":
      return random.of([...names, ...pageNames, "nobody's"])
    case "kind":
      return random.of([...eventKinds, "none"])
    case "query_string":
      return random.of(["?a=1", "?b=2", ""])
    case "namespace":
    case "source":
      return random.of(["shop", "blog", "é", "app", "backend", "none", ""])
    case "path":
      return random.of(paths)
    case "anonymous_id":
      return `visitor ${random.whole(1, 20)}`
    case "session_id":
      return `session ${random.whole(1, 20)} ${random.whole(1, 3)}`
    case "profile":
    case "profile_id":
      return `profile ${random.whole(0, 8)}`
    case "website_id":
      return random.of(["6a1f8f2e-0000-4000-8000-00000000000a", "other", "none"])
    case "property_key":
      return random.of([...keys, "nowhere"])
  }
  if (isContextField(field)) return random.of([...contextValues, "nowhere", ""])
  return random.of([...plans, 5, 0, -1, 0.1, 1e21, true, false, "{}", '[0,"pro"]', "id-1", "\ud800"])
}

function someDimension(random: Pick): Dimension {
  return random.chance(0.5) ? random.of(fields) : random.of(properties)
}

function someMeasures(random: Pick): Measure[] {
  const plain = [
    "events",
    "users",
    "sessions",
    "profiles",
    "pages",
    "event_types",
    "with_properties",
    "first",
    "last",
  ] as const
  const whats = ["count", "sum", "avg", "min", "max", "p50", "p75", "p90", "p95", "p99"] as const
  return Array.from({ length: random.whole(1, 5) }, () =>
    random.chance(0.6) ? random.of(plain) : { what: random.of(whats), of: random.of(numbers) },
  )
}

const pagePatterns = [...paths, "*", "/*", "/p*g", "*r*c*", "/pricing*", "*ing", "/**", "//*", "", "/nowhere"]

function someStep(random: Pick): Step {
  const isPage = random.chance(0.3)
  return {
    ...(isPage
      ? { page: random.of(pagePatterns) }
      : { name: random.chance(0.8) ? random.of([...names.slice(0, 4), "screen_view"]) : undefined }),
    filters: random.chance(0.25) ? someFilters(random, 1) : [],
  }
}

/** A count in a report on the events of a scope. Half of the steps match any event, so that most counts are not 0. */
function someCount(world: World, scope: Scope, unit: Unit): ReportCount {
  const { random } = world
  const query = randomQuery(world, random.of(["funnel", "retention"]))
  const plain = (step: Step): Step => (random.chance(0.5) ? { filters: [] } : step)
  if (query.kind === "funnel") {
    return {
      query: { ...query, scope, unit, steps: query.steps.map(plain) },
      step: random.of([0, 0, 1, query.steps.length - 1]),
      isDropOff: random.chance(0.4),
      value: query.by !== undefined && random.chance(0.5) ? someValueOf(query.by, random) : undefined,
    }
  }
  // No other kind was requested.
  const { startEvent, returnEvent, ...retention } = query as RetentionQuery
  const days = { daily: 1, weekly: 7, monthly: 31 }[retention.granularity]
  return {
    query: { ...retention, scope, unit, startEvent: plain(startEvent), returnEvent: plain(returnEvent) },
    cohort: random.of([0, 0, random.whole(0, Math.floor((scope.to - scope.from) / day / days))]),
    period: random.of([undefined, 0, 1, 1, 2]),
  }
}

/** A random query of the given kind for the events of a data set. */
export function randomQuery(world: World, kind: Kind): Query {
  const { random } = world
  const unit = random.of(["anonymous_id", "session_id", "profile_id"] as const)
  const scope = someScope(world)
  const page = { limit: random.of([1, 3, 10, 50, 10_000]), offset: random.of([0, 0, 1, 7, 40]) }
  switch (kind) {
    case "groups": {
      const granularity = random.chance(0.6)
        ? random.of(["minute", "hourly", "daily", "weekly", "monthly"] as const)
        : undefined
      const by = Array.from({ length: random.of([0, 0, 1, 1, 2, 3]) }, () => someDimension(random))
      const measures = random.chance(0.3) ? (["events"] as const) : someMeasures(random)
      return {
        kind,
        scope: granularity ? someScope(world, longest[granularity] / day) : scope,
        by,
        granularity,
        measures,
        only: random.chance(0.2)
          ? Array.from({ length: 4 }, () => by.map((one) => someValueOf(one, random)))
          : undefined,
        page:
          granularity || by.length === 0 || random.chance(0.5) ? undefined : somePage(by, measures, world),
      }
    }
    case "values":
      return {
        kind,
        scope,
        keys: random.chance(0.5) ? undefined : [random.of(keys), random.of(keys), "nowhere"],
        top: random.of([0, 1, 5, 1_000]),
        bins: random.chance(0.5) ? random.of([1, 2, 3, 7, 20, 100]) : undefined,
      }
    case "events": {
      const after = random.chance(0.4) ? { ts: timeNear(world), id: random.whole(1, 1_500) } : undefined
      return { kind, scope, ...page, after }
    }
    case "funnel":
      return {
        kind,
        scope,
        steps: Array.from({ length: random.of([2, 2, 3, 3, 4, 10]) }, () => someStep(random)),
        window: random.of([0, 60_000, hour, 5 * hour, day, 30 * day]),
        unit,
        by: random.chance(0.4) ? someDimension(random) : undefined,
      }
    case "retention":
      return {
        kind,
        scope,
        startEvent: someStep(random),
        returnEvent: someStep(random),
        granularity: random.of(["daily", "weekly", "monthly"] as const),
        unit,
      }
    case "reach": {
      const granularity = random.of([undefined, "hourly", "daily", "weekly", "monthly"] as const)
      return {
        kind,
        scope: granularity ? someScope(world, longest[granularity] / day) : scope,
        granularity,
        unit,
      }
    }
    case "paths":
      return { kind, scope, event: someStep(random), before: random.whole(0, 5), after: random.whole(0, 5) }
    case "sessions":
    case "visitors": {
      const units =
        kind === "sessions" ? (["session_id"] as const) : (["anonymous_id", "profile_id"] as const)
      const of = random.chance(0.5) ? someCount(world, scope, random.of(units)) : undefined
      // The list includes events of all kinds, not only those in the report.
      return { kind, scope: of ? { ...scope, kinds: eventKinds } : scope, of, ...page }
    }
    case "traffic": {
      const granularity = random.of(["hourly", "daily", "weekly", "monthly"] as const)
      const isByTime = random.chance(0.4)
      const { filters, ...ofScope } = isByTime ? someScope(world, longest[granularity] / day) : scope
      const ofContext = random.chance(0.4)
        ? [{ field: random.of(contextFields), op: "eq", value: random.of(contextValues) } as const]
        : []
      const by = !isByTime &&
        random.chance(0.8) && {
          view: random.of(["each", "first", "last"] as const),
          fields: Array.from({ length: random.of([1, 1, 2, 3]) }, () =>
            random.chance(0.5) ? random.of(["path", ...contextFields] as const) : someDimension(random),
          ),
        }
      const kinds = by && random.chance(0.7) ? (["page_view"] as const) : trafficKinds
      return {
        kind,
        scope: { ...ofScope, kinds, filters: [...filters, ...ofContext] },
        ...(isByTime && { granularity }),
        ...(by && { by }),
      }
    }
  }
}
