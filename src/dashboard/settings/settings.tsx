import type { FunctionComponent } from "preact"
import { NotFound } from "../components/layout/not-found.tsx"
import { useApp } from "../state/app.ts"
import { Account } from "./account.tsx"
import { Annotations } from "./annotations.tsx"
import { Keys } from "./keys.tsx"
import { type SettingsName, settingsFor } from "./nav.ts"
import { Server } from "./server.tsx"
import { Shares } from "./shares.tsx"
import { Users } from "./users.tsx"
import { Views } from "./views.tsx"
import { Websites } from "./websites.tsx"

const pages: Record<SettingsName, FunctionComponent> = {
  account: Account,
  websites: Websites,
  keys: Keys,
  users: Users,
  shares: Shares,
  notes: Annotations,
  views: Views,
  server: Server,
}

/** Shows the settings page named in the URL, or “not found” if the user cannot open it. */
export function Settings() {
  const { session, router } = useApp()
  const entry = settingsFor(session).find(({ name }) => `settings/${name}` === router.location.value.page)
  const SettingsPage = entry ? pages[entry.name] : NotFound
  return <SettingsPage />
}
