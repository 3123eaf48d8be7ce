import type { Session } from "../state/session.ts"

/** Pages of settings, in the order of their navigation. */
const entries = [
  { name: "account", label: "Account", for: "all" },
  { name: "websites", label: "Websites", for: "owner" },
  { name: "keys", label: "Keys", for: "owner" },
  { name: "users", label: "Users", for: "owner" },
  { name: "shares", label: "Share links", for: "owner" },
  { name: "notes", label: "Notes", for: "owner" },
  { name: "views", label: "Saved views", for: "owner" },
  { name: "server", label: "Server", for: "owner" },
] as const

export type SettingsName = (typeof entries)[number]["name"]

export function settingsFor({ isOwner }: Session): readonly (typeof entries)[number][] {
  return entries.filter((one) => isOwner || one.for === "all")
}
