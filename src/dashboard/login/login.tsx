import { useEffect, useState } from "preact/hooks"
import { Form } from "../components/controls/form.tsx"
import { PasswordField } from "../components/controls/password-field.tsx"
import { useApp } from "../state/app.ts"
import { EmailField } from "./email-field.tsx"
import { LoginFrame } from "./login-frame.tsx"
import { loginPath } from "./redirect.ts"

/** The login form. After logging in, users see the page that they requested. */
export function Login() {
  const { api, session, router } = useApp()
  const [email, setEmail] = useState("")
  const [password, setPassword] = useState("")
  const { page } = router.location.value
  useEffect(() => {
    if (page !== "login") router.navigate(loginPath(router.path), "replace")
  }, [page, router])
  return (
    <LoginFrame title="Log in" help={<LoginHelp />}>
      {session.hasExpired.value && <p>Your session expired. Log in to continue.</p>}
      <Form
        action="Log in"
        onSubmit={async () => {
          await api.send("POST", "login", { email, password })
          await session.load()
        }}
      >
        <EmailField value={email} onInput={setEmail} />
        <PasswordField label="Password" kind="current-password" value={password} onInput={setPassword} />
      </Form>
    </LoginFrame>
  )
}

/** The server sends no email, so owners have to pass on links themselves. */
function LoginHelp() {
  return (
    <details class="login-help">
      <summary>Forgot your password or need access?</summary>
      <div class="prose">
        <p>Ask an owner: they can create a reset link or an invitation for you in Settings → Users.</p>
        <p>
          On the server, <code>databuddy user reset you@example.com</code> prints a reset link.
        </p>
      </div>
    </details>
  )
}
