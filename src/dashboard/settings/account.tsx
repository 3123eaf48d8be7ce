import { useState } from "preact/hooks"
import { Form } from "../components/controls/form.tsx"
import { PasswordField } from "../components/controls/password-field.tsx"
import { ThemeChoice } from "../components/controls/theme-choice.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { ApiError } from "../state/api.ts"
import { useApp } from "../state/app.ts"
import { type Fact, Facts } from "./list.tsx"
import { SettingsPage } from "./settings-page.tsx"
import { websitesText } from "./website-choice.tsx"

const roles = {
  owner: "Owner: may see and change everything",
  viewer: "Viewer: may look, and change nothing",
} as const

export function Account() {
  const { session, preferences } = useApp()
  const { shortcuts } = preferences
  const user = session.me.value?.user
  if (!user) return null
  const facts: Fact[] = [
    ["Email", user.email],
    ["Role", roles[user.role], "wide"],
    ["Websites", websitesText(user.websites, (id) => session.nameOf(id))],
  ]
  return (
    <SettingsPage name="account" title="Account">
      <Panel title="Your login">
        <Facts facts={facts} />
      </Panel>
      <Panel title="Password">
        <PasswordChange email={user.email} />
      </Panel>
      <Panel title="This browser" hint="Kept here, and nowhere else.">
        <div class="settings-form">
          <ThemeChoice />
          <fieldset class="choices">
            <legend>Keyboard</legend>
            <label class="check">
              <input
                type="checkbox"
                checked={shortcuts.value}
                onChange={({ currentTarget }) => {
                  shortcuts.value = currentTarget.checked
                }}
              />
              Single keys choose ranges, filter and so on; ? lists them
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
        action="Change the password"
        onSubmit={async () => {
          await api.send("POST", "me/password", { current, password }).catch((error: unknown) => {
            const isWrong = error instanceof ApiError && error.fields.some(({ field }) => field === "current")
            throw isWrong ? new Error("The current password is not right.") : error
          })
          setCurrent("")
          setPassword("")
          toasts.show("The password is changed. Other browsers where you were logged in are logged out.")
        }}
      >
        {/* For password managers, which otherwise do not know whose it is. */}
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
