import { useRef } from "preact/hooks"
import { DataTable, DownloadCsv } from "../components/charts/data-table.tsx"
import { Link } from "../components/controls/link.tsx"
import { Pager } from "../components/controls/pager.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Empty, Failure, Skeleton } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { calledName, mostLinked, type Profile } from "../state/profiles.ts"
import { useResource } from "../state/resource.ts"
import { NoResults } from "./no-results.tsx"
import { perPage, usePage } from "./paging.ts"

/** Traits that a row names: all of them are on the person's page. */
const shownTraits = 4

interface Found {
  profiles: Profile[]
  total: number
}

/** Whom /identify told of, of all times. */
export function Profiles({ search }: { search: string }) {
  const { view } = useApp()
  const { website } = view.value
  const { page, onPage } = usePage()
  const isOne = website !== "all" && website !== "none"
  const query = new URLSearchParams({ website_id: website, limit: String(perPage), page: String(page) })
  if (search !== "") query.set("search", search)
  const { data, error, again } = useResource<Found>(isOne ? `profiles?${query}` : undefined)
  // Meanwhile what was there stays, so that nothing jumps.
  const before = useRef<Found>(undefined)
  if (data) before.current = data
  const shown = data ?? before.current
  return (
    <Panel
      title="Profiles"
      hint="Whom POST /identify told of, at any time; the one updated last first."
      actions={shown && <Download profiles={shown.profiles} />}
    >
      {!isOne ? (
        <Empty title="Profiles belong to one website each">
          Choose one of the websites to see its profiles.
        </Empty>
      ) : error ? (
        <Failure error={error} again={again} />
      ) : !shown ? (
        <Skeleton height={780} />
      ) : shown.profiles.length > 0 ? (
        <div class={data ? undefined : "stale"} aria-busy={!data}>
          <Table profiles={shown.profiles} />
          <Pager page={page} size={perPage} total={shown.total} onPage={onPage} />
        </div>
      ) : search === "" && page === 1 ? (
        <Empty title="No profiles yet">
          Tell who a visitor is with <code>POST /identify</code>: a profile id, the visitor's anonymous id,
          and traits such as a name. <a href="/docs">The API's page</a> says how.
        </Empty>
      ) : (
        <NoResults what="profile" search={search} />
      )}
    </Panel>
  )
}

function Table({ profiles }: { profiles: readonly Profile[] }) {
  const { place, now } = useApp()
  const format = useFormat()
  return (
    <DataTable
      name="Profiles"
      columns={["Name", "Profile", "Email", "Traits", "Visitors", "Updated"]}
      numeric={[false, false, false, false, true, true]}
      keys={profiles.map(({ profileId }) => profileId)}
      rows={profiles.map((profile) => [
        <Link key="name" class="people-id" href={place.to("person", { profile: profile.profileId })}>
          {calledName(profile)}
        </Link>,
        <span key="id" class="people-id">
          {profile.profileId}
        </span>,
        <span key="email" class="people-id">
          {profile.email}
        </span>,
        <Traits key="traits" traits={profile.traits} />,
        profile.anonymousIds.length < mostLinked
          ? format.count(profile.anonymousIds.length)
          : `${format.count(mostLinked)} or more`,
        format.moment(profile.updatedAt, now()),
      ])}
    />
  )
}

/** Those that have no column of their own. */
function Traits({ traits }: { traits: Profile["traits"] }) {
  const others = Object.entries(traits).filter(([key]) => !["name", "email", "username"].includes(key))
  return (
    <span class="people-traits">
      {others.slice(0, shownTraits).map(([key, value]) => (
        <span key={key}>
          <span class="muted">{key}</span> {String(value)}
        </span>
      ))}
    </span>
  )
}

function Download({ profiles }: { profiles: readonly Profile[] }) {
  return (
    <DownloadCsv
      file="profiles"
      columns={["profile", "name", "email", "username", "traits", "visitors", "created", "updated"]}
      rows={profiles.map((one) => [
        one.profileId,
        one.name,
        one.email,
        one.username,
        one.traits,
        one.anonymousIds.join(" "),
        one.createdAt,
        one.updatedAt,
      ])}
    />
  )
}
