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

/** A page of settings, and the way to the others. */
export function SettingsPage({ name, title, actions, children }: SettingsPageProps) {
  const shown = settingsFor(useApp().session)
  return (
    <Page title={title} scoped={false} actions={actions}>
      {shown.length > 1 && (
        <nav aria-label="Settings">
          <ul class="settings-nav">
            {shown.map((one) => (
              <li key={one.name}>
                <Link href={`/settings/${one.name}`} isCurrent={one.name === name}>
                  {one.label}
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
