import type { FunctionComponent } from "preact"
import { NotFound } from "../components/layout/not-found.tsx"
import { useApp } from "../state/app.ts"
import { Account } from "./account.tsx"
import { Keys } from "./keys.tsx"
import { type SettingsName, settingsFor } from "./nav.ts"
import { Notes } from "./notes.tsx"
import { Server } from "./server.tsx"
import { Shares } from "./shares.tsx"
import { Users } from "./users.tsx"
import { Views } from "./views.tsx"
import { Websites } from "./websites.tsx"

const shown: Record<SettingsName, FunctionComponent> = {
  account: Account,
  websites: Websites,
  keys: Keys,
  users: Users,
  shares: Shares,
  notes: Notes,
  views: Views,
  server: Server,
}

/** The page of settings that the address names, where one may see it. */
export function Settings() {
  const { session, place } = useApp()
  const entry = settingsFor(session).find(({ name }) => `settings/${name}` === place.spot.value.page)
  const Found = entry ? shown[entry.name] : NotFound
  return <Found />
}
