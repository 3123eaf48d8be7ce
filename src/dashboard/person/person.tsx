import { NotFound } from "../components/layout/not-found.tsx"
import { Page } from "../components/layout/page.tsx"
import { useApp } from "../state/app.ts"
import { calledName } from "../state/profiles.ts"
import { ExportAndDelete } from "./delete-data.tsx"
import { PersonActivity } from "./person-activity.tsx"
import "./person.css"
import { type PersonId, personIdOf } from "./person-id.ts"
import { PersonIdentity, usePersonSummary } from "./person-summary.tsx"
import { Timeline } from "./timeline.tsx"

/** Characters of a title. */
const titleLength = 60

/** One visitor, or one profile. */
export function Person() {
  const { place } = useApp()
  const who = personIdOf(place.spot.value.params)
  // Another one is another page: nothing of the one before is shown meanwhile.
  return who ? <PersonPage key={`${who.kind} ${who.id}`} who={who} /> : <NotFound />
}

function PersonPage({ who }: { who: PersonId }) {
  const whole = usePersonSummary(who)
  const own = whole.profiles.find(({ profileId }) => who.kind === "profile" && profileId === who.id)
  const isKnown = whole.answered.isLoading || whole.events > 0
  return (
    <Page title={titleOf(own ? calledName(own) : who.id)}>
      <PersonIdentity who={who} whole={whole} />
      {isKnown && <PersonActivity who={who} />}
      <Timeline who={who} lastSeen={whole.lastSeen} />
      <ExportAndDelete who={who} whole={whole} />
    </Page>
  )
}

/** The whole of it stands below. */
function titleOf(name: string): string {
  return name.length > titleLength ? `${name.slice(0, titleLength)}…` : name
}
