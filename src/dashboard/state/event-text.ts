import type { EventKind } from "../../event-kinds.ts"
import type { ApiEvent } from "./event-filter.ts"

/** Display names of the kinds of events. */
export const kindNames: Readonly<Record<EventKind, string>> = {
  custom: "Custom event",
  page_view: "Page view",
  page_exit: "Page exit",
  outgoing_link: "Outgoing link",
  web_vital: "Web vital",
  error: "Error",
  engagement: "Engagement",
  ai_visit: "AI visit",
}

export function kindOf({ kind = "custom" }: Pick<ApiEvent, "kind">): EventKind {
  return kind
}

/** The title of an event in a list, for example the page of a page view or the message of an error. */
export function eventTitle(event: ApiEvent): string {
  const { event_name: name, path, properties } = event
  switch (kindOf(event)) {
    case "custom":
      return name
    case "outgoing_link":
      return textOf(properties.href) ?? name
    case "web_vital":
      return `${name} ${vitalText(name, properties.value)}`.trim()
    case "error":
      return textOf(properties.message) ?? name
    default:
      return path ?? name
  }
}

/** Properties that are already part of the title. */
const titleProperties: Partial<Record<EventKind, readonly string[]>> = {
  outgoing_link: ["href"],
  web_vital: ["value"],
  error: ["message"],
}

/** Returns the fields of an event that are not in its title, as `[name, value]` pairs. The name of the path is ''. */
export function eventDetails(event: ApiEvent): [name: string, value: unknown][] {
  const kind = kindOf(event)
  const { path, properties } = event
  const omitted = titleProperties[kind] ?? []
  const isTitled = path === null || eventTitle(event) === path
  return [
    ...(isTitled ? [] : [["", path] satisfies [string, unknown]]),
    ...Object.entries(properties)
      .filter(([key]) => !omitted.includes(key))
      // The time on page is a page exit's most useful property, so it comes first.
      .sort(([a], [b]) => (kind === "page_exit" ? rank(a) - rank(b) : 0))
      .map(([key, value]): [string, unknown] =>
        key === "time_on_page" && typeof value === "number" ? ["after", `${value} s`] : [key, value],
      ),
  ]
}

function rank(key: string): number {
  return key === "time_on_page" ? 0 : 1
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined
}

/**
 * Formats the value of a web vital, for example as 2.4 s or 180 ms, or as 0.12 for CLS, which has no unit. Returns ''
 * if the value is not a number. `metric`: the name of the web vital.
 */
export function vitalText(metric: string, value: unknown): string {
  if (typeof value !== "number") return ""
  if (metric === "CLS") return String(Math.round(value * 1_000) / 1_000)
  if (metric === "FPS") return String(Math.round(value))
  return value < 1_000 ? `${Math.round(value)} ms` : `${Math.round(value / 10) / 100} s`
}
