import { useEffect, useRef, useState } from "preact/hooks"
import { Icon } from "../components/controls/icons.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Page } from "../components/layout/page.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { Empty, Failure, Skeleton } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import type { Format } from "../state/format.ts"
import { Reasons } from "./reasons.tsx"
import { RejectedRequestList } from "./request-list.tsx"
import "./rejected-requests.css"
import {
  matchesSite,
  maxRequests,
  type RejectedRequest,
  useRejectedRequests,
} from "../state/rejected-requests.ts"

/** The page of rejected requests, with reasons and fixes. */
export function RejectedRequests() {
  const { router, view } = useApp()
  const state = useRejectedRequests()
  const { params } = router.location.value
  const reason = params.get("reason") ?? ""
  const site = params.get("site") ?? ""
  const siteRequests = state.requests?.filter((request) => matchesSite(request, site))
  return (
    <Page title="Rejected requests" unranged unfiltered actions={<RefreshControls state={state} />}>
      <Panel title="Reasons and fixes" hint={hintOf(view.value.website, useFormat())}>
        {siteRequests === undefined ? (
          state.error === undefined ? (
            <Skeleton height={260} />
          ) : (
            <Failure error={state.error} onRetry={state.refetch} />
          )
        ) : siteRequests.length > 0 ? (
          <Reasons requests={siteRequests} selected={reason} />
        ) : (
          <NoRequests isFiltered={site !== ""} />
        )}
      </Panel>
      {state.requests !== undefined && state.requests.length > 0 && (
        <RejectedRequestList
          all={state.requests}
          siteRequests={siteRequests ?? []}
          reason={reason}
          site={site}
        />
      )}
      <NewRequestsStatus requests={state.requests} />
    </Page>
  )
}

function hintOf(website: string, format: Format): string {
  const text = `The last ${format.count(maxRequests)} rejected requests since the server started`
  return website === "all" ? `${text}.` : `${text}, across all websites.`
}

/** The time of the last update, and a button to pause updates. */
function RefreshControls({ state }: { state: ReturnType<typeof useRejectedRequests> }) {
  const format = useFormat()
  const { isPaused, setPaused, updatedAt, error } = state
  const { now } = useApp()
  const at = format.clock(new Date(updatedAt ?? now()).toISOString())
  const isFailing = error !== undefined && updatedAt !== undefined
  return (
    <>
      {/* This text is invisible until the first response, but takes up space so that nothing moves. */}
      <p class={`muted rejected-updated ${updatedAt === undefined ? "pending" : ""}`}>
        {isFailing ? `Update failed · last updated ${at}` : `Updated ${at}`}
      </p>
      <button
        type="button"
        class="button rejected-pause"
        title={isPaused ? "Resume updates (every 10 seconds)" : "Pause updates (every 10 seconds)"}
        onClick={() => setPaused(!isPaused)}
      >
        <Icon name={isPaused ? "play" : "pause"} /> {isPaused ? "Resume" : "Pause"}
      </button>
    </>
  )
}

function NoRequests({ isFiltered }: { isFiltered: boolean }) {
  const { router } = useApp()
  return isFiltered ? (
    <Empty title="No rejected requests for this website">
      <Link class="button" href={router.hrefWith({ site: undefined })}>
        Show all websites
      </Link>
    </Empty>
  ) : (
    <Empty title="No rejected requests">Every request since the last restart was accepted.</Empty>
  )
}

/** Announces new requests to screen readers. */
function NewRequestsStatus({ requests }: { requests: readonly RejectedRequest[] | undefined }) {
  const format = useFormat()
  const lastSeen = useRef<string>(undefined)
  const [text, setText] = useState("")
  const newest = requests?.[0]?.time ?? ""
  useEffect(() => {
    if (requests === undefined) return
    const before = lastSeen.current
    lastSeen.current = newest
    if (before === undefined) return
    const count = requests.filter(({ time }) => time > before).length
    setText(count === 0 ? "" : `${format.countOf(count, "more request")} rejected.`)
  }, [requests, newest])
  return (
    <p class="hidden" role="status">
      {text}
    </p>
  )
}
