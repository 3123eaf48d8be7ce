import { useState } from "preact/hooks"
import { Form } from "../components/controls/form.tsx"
import { PasswordField } from "../components/controls/password-field.tsx"
import { homeOf } from "../components/layout/home.ts"
import { Failure, Skeleton } from "../components/layout/states.tsx"
import { newestOf } from "../install/first-events.ts"
import { type Api, ApiError } from "../state/api.ts"
import { useApp } from "../state/app.ts"
import { useResource } from "../state/resource.ts"
import type { Session } from "../state/session.ts"
import { Frame } from "./frame.tsx"

/** A one-time link, as the API shows it. */
interface Invitation {
  purpose: "setup" | "invite" | "reset"
  /** null: whoever uses it says which. */
  email: string | null
  role: "owner" | "viewer"
  expiresAt: string
}

const words = {
  setup: {
    title: "Set up Databuddy",
    text: "This makes the owner's login, which may see and change everything. The link works once.",
    action: "Make the login",
  },
  invite: {
    title: "Choose a password",
    text: "With it you log in from now on. The link works once.",
    action: "Log in",
  },
  reset: {
    title: "Choose a new password",
    text: "The old one stops working, and whoever is logged in with it is logged out. The link works once.",
    action: "Log in",
  },
} as const

/** A link with which somebody gets a login, or back into theirs. */
export function CreateAccount({ token }: { token: string }) {
  const path = `invites/${encodeURIComponent(token)}`
  const { data, error, again } = useResource<{ invite: Invitation }>(path)
  if (error instanceof ApiError && error.status === 404) return <Ended />
  if (error !== undefined || !data) {
    return (
      <Frame title="An invitation">
        {error === undefined ? <Skeleton height={200} /> : <Failure error={error} again={again} />}
      </Frame>
    )
  }
  return <Accept path={path} invite={data.invite} />
}

function Accept({ path, invite }: { path: string; invite: Invitation }) {
  const { api, session, place, preferences, now: clock } = useApp()
  const [email, setEmail] = useState(invite.email ?? "")
  const [password, setPassword] = useState("")
  const { title, text, action } = words[invite.purpose]
  const isSetup = invite.purpose === "setup"
  const now = session.me.value?.user?.email
  return (
    <Frame title={title}>
      <p class="muted">{text}</p>
      {now !== undefined && now !== invite.email && (
        <p class="muted">You are logged in as {now}; this logs you in anew, as somebody else.</p>
      )}
      <Form
        action={action}
        onSubmit={async () => {
          await api.send("POST", path, isSetup ? { email, password } : { password })
          await session.load()
          place.go(
            (isSetup && (await installOf(api, session, clock()))) || homeOf(session, preferences),
            "replace",
          )
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
            readOnly={!isSetup}
            data-autofocus={isSetup}
            value={email}
            onInput={(event) => setEmail(event.currentTarget.value)}
          />
        </label>
        <PasswordField
          label={isSetup ? "Password" : "New password"}
          kind="new-password"
          autofocus={!isSetup}
          value={password}
          onInput={setPassword}
        />
      </Form>
    </Frame>
  )
}

/**
 * The setup page, for an owner whose first event came before their login: an overview with numbers shows no setup. Undefined
 * where nothing came, since the overview shows it then.
 */
async function installOf(api: Api, { sites }: Session, now: number): Promise<string | undefined> {
  const [site] = sites.value
  if (!site) return undefined
  const event = await newestOf(api, site.id, now, AbortSignal.timeout(lookTimeout)).catch(() => undefined)
  return event && `/w/${encodeURIComponent(site.id)}/install`
}

/** ms to look for an event before going on without. */
const lookTimeout = 5_000

/** It was used, or is too old, or never was: nobody can tell any more which. */
function Ended() {
  const { session } = useApp()
  const hasUsers = session.me.value?.hasUsers ?? true
  return (
    <Frame title="This link does not work any more">
      <div class="prose">
        <p>It was used already, or has expired.</p>
        {hasUsers ? (
          <p>
            If you have a password, log in. Otherwise ask an owner for a new link, or run{" "}
            <code>databuddy user reset you@example.com</code> on the server.
          </p>
        ) : (
          <p>Start the server again: as long as nobody has a login, it prints a new link each time.</p>
        )}
      </div>
      {hasUsers && (
        <a class="button" href="/login">
          To the login
        </a>
      )}
    </Frame>
  )
}
