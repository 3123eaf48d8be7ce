import { useEffect, useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { Link } from "../controls/link.tsx"
import { homePath } from "./home.ts"
import { Page } from "./page.tsx"
import { Skeleton } from "./states.tsx"
import { type Unavailable, UnavailableText, unavailableTitle } from "./unavailable.tsx"

/** The page for unknown URLs and for pages that the user or share link cannot open. */
export function NotFound({ kind = "page" }: { kind?: Unavailable }) {
  const { session, preferences, router } = useApp()
  const { share, base } = router.location.value
  const home = share === undefined ? homePath(session, preferences) : base
  return (
    <Page title={unavailableTitle(kind)} scoped={false}>
      <section class="panel empty" aria-label={unavailableTitle(kind)}>
        <UnavailableText kind={kind}>
          <Link class="button" href={home}>
            {share === undefined ? "Go to start page" : "Go to the shared page"}
          </Link>
        </UnavailableText>
      </section>
    </Page>
  )
}

/** Height of the skeleton in px. */
const skeletonHeight = 400

/**
 * Shown for a website that is missing from the session's list. Reloads the list first, in case the website has just
 * been created.
 */
export function MissingWebsite() {
  const { session } = useApp()
  const [isLoaded, setLoaded] = useState(false)
  useEffect(() => {
    const done = () => setLoaded(true)
    session.loadSites().then(done, done)
  }, [session])
  if (isLoaded) return <NotFound kind="website" />
  return (
    <main class="page" id="main">
      <Skeleton height={skeletonHeight} />
    </main>
  )
}
