import { Missing } from "../parts/missing.tsx"
import { Page } from "../parts/page.tsx"
import { useApp } from "../state/app.ts"
import { calledName } from "../state/profiles.ts"
import { ExportAndForget } from "./forget.tsx"
import { Habits } from "./habits.tsx"
import "./person.css"
import { Timeline } from "./timeline.tsx"
import { type Who, whoOf } from "./who.ts"
import { useWhole, WhoItIs } from "./whole.tsx"

/** Characters of a title. */
const titleLength = 60

/** One visitor, or one profile. */
export function Person() {
  const { place } = useApp()
  const who = whoOf(place.spot.value.params)
  // Another one is another page: nothing of the one before is shown meanwhile.
  return who ? <PersonPage key={`${who.kind} ${who.id}`} who={who} /> : <Missing />
}

function PersonPage({ who }: { who: Who }) {
  const whole = useWhole(who)
  const own = whole.profiles.find(({ profileId }) => who.kind === "profile" && profileId === who.id)
  const isKnown = whole.answered.isLoading || whole.events > 0
  return (
    <Page title={titleOf(own ? calledName(own) : who.id)}>
      <WhoItIs who={who} whole={whole} />
      {isKnown && <Habits who={who} />}
      <Timeline who={who} lastSeen={whole.lastSeen} />
      <ExportAndForget who={who} whole={whole} />
    </Page>
  )
}

/** The whole of it stands below. */
function titleOf(name: string): string {
  return name.length > titleLength ? `${name.slice(0, titleLength)}…` : name
}
