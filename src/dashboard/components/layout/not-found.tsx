import { useApp } from "../../state/app.ts"
import { Link } from "../controls/link.tsx"
import { homeOf } from "./home.ts"
import { Page } from "./page.tsx"
import { Empty } from "./states.tsx"

/** An address that leads nowhere, or where one may not go. */
export function NotFound() {
  const { session, preferences, place } = useApp()
  const home = place.spot.value.share === undefined ? homeOf(session, preferences) : place.to("overview")
  return (
    <Page title="Nothing here" scoped={false}>
      <Empty title="There is no such page, or you may not see it">
        <Link class="button" href={home}>
          To the overview
        </Link>
      </Empty>
    </Page>
  )
}
