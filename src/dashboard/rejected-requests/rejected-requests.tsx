import { useEffect, useRef, useState } from "preact/hooks"
import { Icon } from "../components/controls/icons.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Page } from "../components/layout/page.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { Empty, Failure, Skeleton } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { RejectedRequestList } from "./list.tsx"
import { Reasons } from "./reasons.tsx"
import "./rejected-requests.css"
import { isOfSite, mostKept, type RejectedRequest, useRejectedRequests } from "./rejected.ts"

/** Which requests were refused, why, and what to change. */
export function RejectedRequests() {
  const { place, view } = useApp()
  const kept = useRejectedRequests()
  const { params } = place.spot.value
  const reason = params.get("reason") ?? ""
  const site = params.get("site") ?? ""
  const ofSite = kept.refusals?.filter((one) => isOfSite(one, site))
  return (
    <Page title="Refusals" unranged unfiltered actions={<Refreshing kept={kept} />}>
      <Panel title="Why, and what to change" hint={hintOf(view.value.website)}>
        {ofSite === undefined ? (
          kept.error === undefined ? (
            <Skeleton height={260} />
          ) : (
            <Failure error={kept.error} again={kept.again} />
          )
        ) : ofSite.length > 0 ? (
          <Reasons refusals={ofSite} shown={reason} />
        ) : (
          <Nothing isNarrowed={site !== ""} />
        )}
      </Panel>
      {kept.refusals !== undefined && kept.refusals.length > 0 && (
        <RejectedRequestList all={kept.refusals} ofSite={ofSite ?? []} reason={reason} site={site} />
      )}
      <News refusals={kept.refusals} />
    </Page>
  )
}

function hintOf(website: string): string {
  const kept = `The last ${mostKept} requests to /track and /identify that were refused since the server started; it keeps them in memory.`
  return website === "all" ? kept : `${kept} Those of all websites, for many name none.`
}

/** Whether the list is of now. */
function Refreshing({ kept }: { kept: ReturnType<typeof useRejectedRequests> }) {
  const format = useFormat()
  const { isPaused, setPaused, updatedAt, error } = kept
  const { now } = useApp()
  const at = format.clock(new Date(updatedAt ?? now()).toISOString())
  const isFailing = error !== undefined && updatedAt !== undefined
  return (
    <>
      {/* Until the first answer the text is there, invisible: it has its size in every font, so nothing moves later. */}
      <p class={`muted refusals-updated ${updatedAt === undefined ? "pending" : ""}`}>
        {isFailing ? `Cannot be updated since ${at}` : `Updated ${at}`}
      </p>
      <button
        type="button"
        class="button refusals-pause"
        title={isPaused ? "Update every 10 seconds again" : "Stop updating every 10 seconds"}
        onClick={() => setPaused(!isPaused)}
      >
        <Icon name={isPaused ? "play" : "pause"} /> {isPaused ? "Resume" : "Pause"}
      </button>
    </>
  )
}

function Nothing({ isNarrowed }: { isNarrowed: boolean }) {
  const { place } = useApp()
  return isNarrowed ? (
    <Empty title="Nothing of this website was refused">
      <Link class="button" href={place.with({ site: undefined })}>
        Show those of all websites
      </Link>
    </Empty>
  ) : (
    <Empty title="Nothing was refused since the server started">
      That is good. When a request is refused, it is shown here within 10 seconds, with what to change.
    </Empty>
  )
}

/** Says that there are new ones to those who do not see them come. */
function News({ refusals }: { refusals: readonly RejectedRequest[] | undefined }) {
  const format = useFormat()
  const known = useRef<string>(undefined)
  const [text, setText] = useState("")
  const newest = refusals?.[0]?.time ?? ""
  useEffect(() => {
    if (refusals === undefined) return
    const before = known.current
    known.current = newest
    if (before === undefined) return
    const count = refusals.filter(({ time }) => time > before).length
    setText(count === 0 ? "" : `${format.count(count)} more refused.`)
  }, [refusals, newest])
  return (
    <p class="hidden" role="status">
      {text}
    </p>
  )
}
