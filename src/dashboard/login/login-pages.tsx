import { CodeBlock } from "../components/controls/copy.tsx"
import { useApp } from "../state/app.ts"
import { CreateAccount } from "./create-account.tsx"
import { Frame } from "./frame.tsx"
import { Login } from "./login.tsx"

/** What an address shows to somebody who is not in: a way in, or why there is none. */
export function LoginPages() {
  const { session, place } = useApp()
  const { base, page, share } = place.spot.value
  const [first, token] = page.split("/")
  if (base === "" && first === "invite" && token !== undefined)
    return <CreateAccount key={token} token={token} />
  if (share !== undefined) return <EndedShare />
  return session.me.value?.hasUsers ? <Login /> : <NoUsers />
}

function EndedShare() {
  return (
    <Frame title="This link has ended">
      <div class="prose">
        <p>It was taken back, or has expired, or a part of it is missing.</p>
        <p>Ask whoever gave it to you for a new one.</p>
      </div>
      <a class="button" href="/">
        I have a login here
      </a>
    </Frame>
  )
}

function NoUsers() {
  const { session } = useApp()
  return (
    <Frame title="Nobody has a login yet">
      <div class="prose">
        <p>
          Open the link that <code>databuddy serve</code> printed when it started: it makes the owner's login.
        </p>
        <p>Or make a login on the server, with the file that it serves:</p>
      </div>
      <CodeBlock
        name="Copy the command"
        code="databuddy user create you@example.com --db /path/to/databuddy.db"
      />
      <button type="button" class="button" onClick={() => void session.load()}>
        Look again
      </button>
    </Frame>
  )
}
