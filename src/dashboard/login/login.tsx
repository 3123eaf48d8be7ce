import { useEffect, useState } from "preact/hooks"
import { Form } from "../components/controls/form.tsx"
import { PasswordField } from "../components/controls/password-field.tsx"
import { useApp } from "../state/app.ts"
import { Frame } from "./frame.tsx"
import { loginPath } from "./redirect.ts"

/** Email and password; then one goes on to where one wanted. */
export function Login() {
  const { api, session, place } = useApp()
  const [email, setEmail] = useState("")
  const [password, setPassword] = useState("")
  const { page } = place.spot.value
  useEffect(() => {
    if (page !== "login") place.go(loginPath(place.path), "replace")
  }, [page, place])
  return (
    <Frame title="Log in" help={<Forgotten />}>
      {session.hasEnded.value && <p>Your login has ended. After a new one you are back where you were.</p>}
      <Form
        action="Log in"
        onSubmit={async () => {
          await api.send("POST", "login", { email, password })
          await session.load()
        }}
      >
        <label class="field">
          Email
          <input
            type="email"
            name="email"
            autocomplete="username"
            autocapitalize="off"
            spellcheck={false}
            required
            data-autofocus={true}
            value={email}
            onInput={(event) => setEmail(event.currentTarget.value)}
          />
        </label>
        <PasswordField label="Password" kind="current-password" value={password} onInput={setPassword} />
      </Form>
    </Frame>
  )
}

/** There is no mail to be sent by: somebody has to hand over a link. */
function Forgotten() {
  return (
    <details class="door-help">
      <summary>Forgot the password, or no login yet?</summary>
      <div class="prose">
        <p>
          An owner makes a link for you under Settings, Users: one to choose a new password, or an invitation.
        </p>
        <p>
          On the server, <code>databuddy user reset you@example.com</code> prints such a link.
        </p>
      </div>
    </details>
  )
}
