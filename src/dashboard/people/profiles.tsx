import { useRef } from "preact/hooks"
import { CardMenu } from "../components/charts/card-menu.tsx"
import { DataTable } from "../components/charts/data-table.tsx"
import { Link } from "../components/controls/link.tsx"
import { Pager } from "../components/controls/pager.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { usePage } from "../components/controls/use-page.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Empty, Failure, Skeleton } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { displayName, maxAnonymousIds, type Profile } from "../state/profiles.ts"
import { type Resource, useResource } from "../state/resource.ts"
import { isSingleWebsite } from "../state/session.ts"
import { NoResults } from "./no-results.tsx"

/** Number of rows per page. */
const pageSize = 50
/** Maximum number of matching profiles to show above the matching visitors. */
const firstProfiles = 5
/** Maximum number of traits per row. The person's page shows all traits. */
const shownTraits = 4

interface ProfileList {
  profiles: Profile[]
  total: number
}

/** The profiles of a website, regardless of the range. */
export function Profiles({ search }: { search: string }) {
  const { router, view } = useApp()
  const { website } = view.value
  const { page, onPage } = usePage()
  const isSingle = isSingleWebsite(website)
  const params = new URLSearchParams({ website_id: website, limit: String(pageSize), page: String(page) })
  if (search !== "") params.set("search", search)
  const { data, error, refetch } = useResource<ProfileList>(isSingle ? `profiles?${params}` : undefined)
  // The previous page stays visible while the next one loads.
  const previous = useRef<ProfileList>(undefined)
  if (data) previous.current = data
  const list = data ?? previous.current
  return (
    <Panel
      title="Profiles"
      hint="Identified people, most recently updated first."
      actions={list && <Download profiles={list.profiles} />}
    >
      {!isSingle ? (
        <Empty title="Select a website">
          Each website has its own profiles. Select a website to see them.
        </Empty>
      ) : error ? (
        <Failure error={error} onRetry={refetch} />
      ) : !list ? (
        <Skeleton height={780} />
      ) : list.profiles.length > 0 ? (
        <div class={data ? undefined : "stale"} aria-busy={!data}>
          <Table profiles={list.profiles} />
          <Pager page={page} size={pageSize} total={list.total} onPage={onPage} />
        </div>
      ) : search === "" && page === 1 ? (
        <Empty title="No profiles yet">
          Identify a visitor with <code>POST /identify</code>: send a profile ID, the visitor's anonymous ID,
          and traits such as a name. See the <a href={router.hrefOf("/docs")}>API docs</a>.
        </Empty>
      ) : (
        <NoResults noun="profile" search={search} />
      )}
    </Panel>
  )
}

/**
 * Loads the first profiles that match the search. Loads none if the search is '', or if the view does not show a single
 * website.
 */
export function useMatchingProfiles(search: string): Resource<ProfileList> {
  const { website } = useApp().view.value
  const params = new URLSearchParams({ website_id: website, search, limit: String(firstProfiles) })
  const isKnown = search !== "" && isSingleWebsite(website)
  return useResource<ProfileList>(isKnown ? `profiles?${params}` : undefined)
}

interface MatchingProfilesProps {
  search: string
  profiles: Resource<ProfileList>
}

/** The first matching profiles, shown above the visitors with a matching ID. */
export function MatchingProfiles({ search, profiles: { data, error, refetch } }: MatchingProfilesProps) {
  const { router, view } = useApp()
  const format = useFormat()
  if (!isSingleWebsite(view.value.website)) return null
  return (
    <Panel
      title="Profiles"
      actions={
        data &&
        data.total > firstProfiles && (
          <Link class="button small" href={router.hrefWith({ tab: "profiles", page: undefined })}>
            All {format.count(data.total)}
          </Link>
        )
      }
    >
      {error ? (
        <Failure error={error} onRetry={refetch} />
      ) : !data ? (
        <Skeleton height={60} />
      ) : data.profiles.length > 0 ? (
        <Table profiles={data.profiles} />
      ) : (
        <p class="muted">No profiles match “{search}”</p>
      )}
    </Panel>
  )
}

function Table({ profiles }: { profiles: readonly Profile[] }) {
  const { router, now } = useApp()
  const format = useFormat()
  return (
    <DataTable
      name="Profiles"
      columns={["Name", "Profile ID", "Email", "Traits", "Visitors", "Updated"]}
      numeric={[false, false, false, false, true, true]}
      keys={profiles.map(({ profileId }) => profileId)}
      rows={profiles.map((profile) => [
        <Link key="name" class="people-id" href={router.pageHref("person", { profile: profile.profileId })}>
          {displayName(profile)}
        </Link>,
        <span key="id" class="people-id">
          {profile.profileId}
        </span>,
        <span key="email" class="people-id">
          {profile.email}
        </span>,
        <Traits key="traits" traits={profile.traits} />,
        profile.anonymousIds.length < maxAnonymousIds
          ? format.count(profile.anonymousIds.length)
          : `${format.count(maxAnonymousIds)}+`,
        format.moment(profile.updatedAt, now()),
      ])}
    />
  )
}

/** The first traits that have no column of their own. */
function Traits({ traits }: { traits: Profile["traits"] }) {
  const otherTraits = Object.entries(traits).filter(([key]) => !["name", "email", "username"].includes(key))
  return (
    <span class="people-traits">
      {otherTraits.slice(0, shownTraits).map(([key, value]) => (
        <span key={key}>
          <span class="muted">{key}</span> {String(value)}
        </span>
      ))}
    </span>
  )
}

function Download({ profiles }: { profiles: readonly Profile[] }) {
  return (
    <CardMenu
      file="profiles"
      columns={["profile", "name", "email", "username", "traits", "visitors", "created", "updated"]}
      rows={profiles.map((profile) => [
        profile.profileId,
        profile.name,
        profile.email,
        profile.username,
        profile.traits,
        profile.anonymousIds.join(" "),
        profile.createdAt,
        profile.updatedAt,
      ])}
    />
  )
}
