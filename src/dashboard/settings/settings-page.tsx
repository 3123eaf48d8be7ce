import type { ComponentChildren } from "preact"
import { Link } from "../components/controls/link.tsx"
import { Page } from "../components/layout/page.tsx"
import { useApp } from "../state/app.ts"
import { type SettingsName, settingsFor } from "./nav.ts"
import "./settings.css"

interface SettingsPageProps {
  name: SettingsName
  title: string
  actions?: ComponentChildren
  children: ComponentChildren
}

/** A settings page, with links to the other settings pages. */
export function SettingsPage({ name, title, actions, children }: SettingsPageProps) {
  const shown = settingsFor(useApp().session)
  return (
    <Page title={title} scoped={false} actions={actions}>
      {shown.length > 1 && (
        <nav aria-label="Settings">
          <ul class="settings-nav">
            {shown.map((entry) => (
              <li key={entry.name}>
                <Link href={`/settings/${entry.name}`} isCurrent={entry.name === name}>
                  {entry.label}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
      )}
      {children}
    </Page>
  )
}
