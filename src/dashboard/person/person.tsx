import { NotFound } from "../components/layout/not-found.tsx"
import { Page } from "../components/layout/page.tsx"
import { useApp } from "../state/app.ts"
import { displayName } from "../state/profiles.ts"
import { ExportAndDelete } from "./delete-data.tsx"
import { PersonActivity } from "./person-activity.tsx"
import "./person.css"
import { type PersonId, readPersonId } from "./person-id.ts"
import { PersonIdentity, usePersonSummary } from "./person-summary.tsx"
import { Timeline } from "./timeline.tsx"

/** Maximum number of characters in a title. Longer titles are truncated. */
const titleLength = 60

/** The page of a visitor or profile. */
export function Person() {
  const { router } = useApp()
  const person = readPersonId(router.location.value.params)
  // The key resets the state, so that nothing about the previous person is visible while the next one loads.
  return person ? <PersonPage key={`${person.kind} ${person.id}`} person={person} /> : <NotFound />
}

function PersonPage({ person }: { person: PersonId }) {
  const summary = usePersonSummary(person)
  const ownProfile = summary.profiles.find(
    ({ profileId }) => person.kind === "profile" && profileId === person.id,
  )
  const hasEvents = summary.query.isLoading || summary.events > 0
  return (
    <Page title={titleOf(ownProfile ? displayName(ownProfile) : person.id)}>
      <PersonIdentity person={person} summary={summary} />
      {hasEvents && <PersonActivity person={person} />}
      <Timeline person={person} lastSeen={summary.lastSeen} />
      <ExportAndDelete person={person} summary={summary} />
    </Page>
  )
}

/** Truncates a long name. The panel below shows it in full. */
function titleOf(name: string): string {
  return name.length > titleLength ? `${name.slice(0, titleLength)}…` : name
}
