import { useState } from "preact/hooks"
import { Form } from "../components/controls/form.tsx"
import { PasswordField } from "../components/controls/password-field.tsx"
import { ThemeChoice } from "../components/controls/theme-choice.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { ApiError } from "../state/api.ts"
import { useApp } from "../state/app.ts"
import { type Fact, Facts } from "./list.tsx"
import { roleTexts } from "./permissions.ts"
import { SettingsPage } from "./settings-page.tsx"
import { websitesText } from "./website-choice.tsx"

export function Account() {
  const { session, preferences } = useApp()
  const { shortcuts } = preferences
  const user = session.me.value?.user
  if (!user) return null
  const facts: Fact[] = [
    ["Email", user.email],
    ["Role", roleTexts[user.role].text, "wide"],
    ["Websites", websitesText(user.websites, (id) => session.nameOf(id))],
  ]
  return (
    <SettingsPage name="account" title="Account">
      <Panel title="Profile">
        <Facts facts={facts} />
      </Panel>
      <Panel title="Password">
        <PasswordChange email={user.email} />
      </Panel>
      <Panel title="This browser" hint="Saved in this browser only.">
        <div class="settings-form">
          <ThemeChoice />
          <fieldset class="choices">
            <legend>Keyboard shortcuts</legend>
            <label class="check">
              <input
                type="checkbox"
                checked={shortcuts.value}
                onChange={({ currentTarget }) => {
                  shortcuts.value = currentTarget.checked
                }}
              />
              Enable single-key shortcuts (press ? for a list)
            </label>
          </fieldset>
        </div>
      </Panel>
    </SettingsPage>
  )
}

function PasswordChange({ email }: { email: string }) {
  const { api, toasts } = useApp()
  const [current, setCurrent] = useState("")
  const [password, setPassword] = useState("")
  return (
    <div class="settings-form">
      <Form
        action="Change password"
        onSubmit={async () => {
          await api.send("POST", "me/password", { current, password }).catch((error: unknown) => {
            const isWrong = error instanceof ApiError && error.fields.some(({ field }) => field === "current")
            throw isWrong ? new Error("The current password is wrong.") : error
          })
          setCurrent("")
          setPassword("")
          toasts.show("Password changed. All other browsers were logged out.")
        }}
      >
        {/* Tells the password manager which account the password belongs to. */}
        <input
          class="hidden"
          type="email"
          autocomplete="username"
          value={email}
          readOnly
          tabIndex={-1}
          aria-hidden="true"
        />
        <PasswordField
          label="Current password"
          kind="current-password"
          value={current}
          onInput={setCurrent}
        />
        <PasswordField label="New password" kind="new-password" value={password} onInput={setPassword} />
      </Form>
    </div>
  )
}
