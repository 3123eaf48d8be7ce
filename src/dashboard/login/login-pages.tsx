import { CodeBlock } from "../components/controls/copy.tsx"
import { UnavailableText, unavailableTitle } from "../components/layout/unavailable.tsx"
import { useApp } from "../state/app.ts"
import { CreateAccount } from "./create-account.tsx"
import { Login } from "./login.tsx"
import { LoginFrame } from "./login-frame.tsx"

/**
 * The pages that need no login: the login page and the page of a one-time link. If a share link is invalid, or if there
 * is no account yet, explains what to do instead.
 */
export function LoginPages() {
  const { session, router } = useApp()
  const { base, page, share } = router.location.value
  const [first, token] = page.split("/")
  if (base === "" && first === "invite" && token !== undefined)
    return <CreateAccount key={token} token={token} />
  if (share !== undefined) return <InvalidShareLink />
  return session.me.value?.hasUsers ? <Login /> : <NoAccount />
}

function InvalidShareLink() {
  const { embed, router } = useApp()
  return (
    <LoginFrame title={unavailableTitle("share")}>
      <UnavailableText kind="share">
        {!embed && (
          <a class="button" href={router.hrefOf("/")}>
            Log in instead
          </a>
        )}
      </UnavailableText>
    </LoginFrame>
  )
}

function NoAccount() {
  const { session } = useApp()
  return (
    <LoginFrame title="No account yet">
      <div class="prose">
        <p>
          Open the link that <code>databuddy serve</code> printed on startup to create the owner account.
        </p>
        <p>Or create an account on the server:</p>
      </div>
      <CodeBlock
        name="Copy command"
        code="databuddy user create you@example.com --db /path/to/databuddy.db"
      />
      <button type="button" class="button" onClick={() => void session.load()}>
        Retry
      </button>
    </LoginFrame>
  )
}
