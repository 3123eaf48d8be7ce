import type { Scope } from "../../store/keys.ts"

/** What a key may do, in plain words. */
export const scopeWords: Record<Scope, { label: string; text: string }> = {
  "track:events": { label: "Send events", text: "and say who visitors are." },
  "read:data": { label: "Read everything", text: "Events, people, reports and exports." },
  "read:reports": { label: "Read reports", text: "Numbers alone; no single events and no people." },
  "manage:websites": {
    label: "Manage websites",
    text: "Make, change and delete them; notes and saved views; forget people.",
  },
  "manage:keys": {
    label: "Manage keys",
    text: "Make, change and revoke those that may not do more than this one.",
  },
  "manage:users": { label: "Manage users", text: "Invite, change and delete them; share links." },
}

export const scopeNames = Object.keys(scopeWords) as Scope[]
