import { useState } from "preact/hooks"
import { Form } from "../components/controls/form.tsx"
import { PasswordField } from "../components/controls/password-field.tsx"
import { homePath } from "../components/layout/home.ts"
import { Failure, Skeleton } from "../components/layout/states.tsx"
import { UnavailableText, unavailableTitle } from "../components/layout/unavailable.tsx"
import { fetchLatestEvent } from "../install/latest-event.ts"
import { type Api, ApiError } from "../state/api.ts"
import { useApp } from "../state/app.ts"
import { useResource } from "../state/resource.ts"
import type { Session } from "../state/session.ts"
import { EmailField } from "./email-field.tsx"
import { LoginFrame } from "./login-frame.tsx"

/** A one-time link, as returned by the API. */
interface Invitation {
  purpose: "setup" | "invite" | "reset"
  /** null if the user has to enter it, as during setup. */
  email: string | null
  role: "owner" | "viewer"
  expiresAt: string
}

const texts = {
  setup: {
    title: "Create account",
    text: "Create the owner account. Owners can see and change everything. This link works once.",
    action: "Create account",
  },
  invite: {
    title: "Create account",
    text: "You have been invited to Databuddy. Choose a password to create your account. This link works once.",
    action: "Create account",
  },
  reset: {
    title: "Reset password",
    text: "Your old password will stop working, and all browsers will be logged out. This link works once.",
    action: "Save password",
  },
} as const

/** The page opened by a one-time link, which creates an account or resets a password. */
export function CreateAccount({ token }: { token: string }) {
  const path = `invites/${encodeURIComponent(token)}`
  const { data, error, refetch } = useResource<{ invite: Invitation }>(path)
  if (error instanceof ApiError && error.status === 404) return <InvalidLink />
  if (error !== undefined || !data) {
    return (
      <LoginFrame title="Create account">
        {error === undefined ? <Skeleton height={200} /> : <Failure error={error} onRetry={refetch} />}
      </LoginFrame>
    )
  }
  return <AccountForm path={path} invite={data.invite} />
}

function AccountForm({ path, invite }: { path: string; invite: Invitation }) {
  const { api, session, router, preferences, now: clock } = useApp()
  const [email, setEmail] = useState(invite.email ?? "")
  const [password, setPassword] = useState("")
  const { title, text, action } = texts[invite.purpose]
  const isSetup = invite.purpose === "setup"
  const currentEmail = session.me.value?.user?.email
  return (
    <LoginFrame title={title}>
      <p class="muted">{text}</p>
      {currentEmail !== undefined && currentEmail !== invite.email && (
        <p class="muted">You are logged in as {currentEmail}. This will log you out.</p>
      )}
      <Form
        action={action}
        onSubmit={async () => {
          await api.send("POST", path, isSetup ? { email, password } : { password })
          await session.load()
          router.navigate(
            (isSetup && (await installPath(api, session, clock()))) || homePath(session, preferences),
            "replace",
          )
        }}
      >
        <EmailField value={email} onInput={setEmail} isReadOnly={!isSetup} />
        <PasswordField
          label={invite.purpose === "reset" ? "New password" : "Password"}
          kind="new-password"
          autofocus={!isSetup}
          value={password}
          onInput={setPassword}
        />
      </Form>
    </LoginFrame>
  )
}

/**
 * Returns the path of the setup page if the first website already has events, and otherwise undefined. If events arrive
 * before the owner has an account, the overview no longer shows the setup instructions.
 */
async function installPath(api: Api, { sites }: Session, now: number): Promise<string | undefined> {
  const [site] = sites.value
  if (!site) return undefined
  const event = await fetchLatestEvent(api, site.id, now, AbortSignal.timeout(lookupTimeout)).catch(
    () => undefined,
  )
  return event && `/w/${encodeURIComponent(site.id)}/install`
}

/** Maximum time to wait for the event lookup, in ms. */
const lookupTimeout = 5_000

/** Shown for a link that has been used, has expired or never existed. The server cannot tell which. */
function InvalidLink() {
  const { router, session } = useApp()
  const hasUsers = session.me.value?.hasUsers ?? true
  return (
    <LoginFrame title={unavailableTitle("invite")}>
      {hasUsers ? (
        <UnavailableText kind="invite">
          <a class="button" href={router.hrefOf("/login")}>
            Go to login
          </a>
          <p class="muted">
            On the server, <code>databuddy user reset you@example.com</code> creates a new password.
          </p>
        </UnavailableText>
      ) : (
        <div class="prose">
          <p>It has already been used or has expired.</p>
          <p>Restart the server: it prints a new link on every start until the first account exists.</p>
        </div>
      )}
    </LoginFrame>
  )
}
