import type { Session } from "../state/session.ts"

/** The settings pages in navigation order. `visibleTo` says who can open a page. */
const entries = [
  { name: "account", label: "Account", visibleTo: "all" },
  { name: "websites", label: "Websites", visibleTo: "owner" },
  { name: "keys", label: "API keys", visibleTo: "owner" },
  { name: "users", label: "Users", visibleTo: "owner" },
  { name: "shares", label: "Share links", visibleTo: "owner" },
  { name: "notes", label: "Annotations", visibleTo: "owner" },
  { name: "views", label: "Saved views", visibleTo: "owner" },
  { name: "server", label: "Server", visibleTo: "owner" },
] as const

export type SettingsName = (typeof entries)[number]["name"]

export function settingsFor({ isOwner }: Session): readonly (typeof entries)[number][] {
  return entries.filter(({ visibleTo }) => isOwner || visibleTo === "all")
}
