import type { Section } from "../../sections.ts"
import type { Scope } from "../../store/keys.ts"
import type { User } from "../state/session.ts"

/** The label of each role, with its permissions. */
export const roleTexts: Record<User["role"], { label: string; text: string }> = {
  viewer: { label: "Viewer", text: "Viewer: read-only" },
  owner: { label: "Owner", text: "Owner: can see and change everything" },
}

/** The label of each section, with its pages. */
export const sectionTexts: Record<Section, { label: string; text: string }> = {
  web: { label: "Web", text: "Page views." },
  events: { label: "Events", text: "Overview, Events, and the page of each event." },
  behavior: { label: "Behavior", text: "Funnels, Retention, Paths and Goals." },
  quality: { label: "Quality", text: "Errors, Vitals and Engagement." },
  people: {
    label: "People",
    text: "Individual events and visitors: Live, People, saved views, rejected requests and exports.",
  },
}

/** The label and description of each scope. */
export const scopeTexts: Record<Scope, { label: string; text: string }> = {
  "track:events": { label: "Send events", text: "Track events and identify people." },
  "read:data": { label: "Read all data", text: "Events, people, reports and exports." },
  "read:reports": { label: "Read reports", text: "Aggregates only, no individual events or people." },
  "manage:websites": {
    label: "Manage websites",
    text: "Create, edit and delete websites, annotations and saved views. Delete people's data.",
  },
  "manage:keys": {
    label: "Manage keys",
    text: "Create, edit and revoke keys with at most this key's permissions.",
  },
  "manage:users": { label: "Manage users", text: "Invite, edit and delete users. Manage share links." },
}

/** All scopes, in the order of the form. The type assertion is needed because `Object.keys` returns `string[]`. */
export const scopeNames = Object.keys(scopeTexts) as Scope[]
