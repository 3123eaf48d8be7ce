import { useState } from "preact/hooks"
import { CardMenu } from "../components/charts/card-menu.tsx"
import { DataTable } from "../components/charts/data-table.tsx"
import { Link } from "../components/controls/link.tsx"
import { Select } from "../components/controls/select.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { matchesSite, noWebsite, type RejectedRequest, reasonText } from "../state/rejected-requests.ts"

/** Number of rows to show initially, and to add with each click on “Show older requests”. */
const pageSize = 100
/** Number of event names, and of property keys, to show per row before the list is expanded. */
const shownTexts = 5

interface ListProps {
  all: readonly RejectedRequest[]
  siteRequests: readonly RejectedRequest[]
  /** The reason to show, and the website to show (see `matchesSite`); '' for all. */
  reason: string
  site: string
}

/** The rejected requests, newest first, with filters for reason and website. */
export function RejectedRequestList({ all, siteRequests, reason, site }: ListProps) {
  const { router, session, now } = useApp()
  const format = useFormat()
  const [rows, setRows] = useState(pageSize)
  const matches = siteRequests.filter((request) => reason === "" || request.reason === reason)
  const visible = matches.slice(0, rows)
  const nameOf = (id: string | null) => (id === null ? "None or several" : session.nameOf(id))
  return (
    <Panel
      title="Requests"
      actions={
        <>
          <Choice
            label="Reason"
            value={reason}
            options={[...new Set(all.map((request) => request.reason))]
              .sort()
              .map((value) => [value, reasonText(value)])}
            onChange={(value) => router.setParams({ reason: value || undefined })}
          />
          <Choice
            label="Website"
            value={site}
            options={sitesOf(all).map((id) => [id ?? noWebsite, nameOf(id)])}
            onChange={(value) => router.setParams({ site: value || undefined })}
          />
          <CardMenu
            file="rejected-requests"
            columns={["time", "path", "status", "reason", "website", "events", "names", "keys", "advice"]}
            rows={matches.map((request) => [
              request.time,
              request.path,
              request.status,
              request.reason,
              request.websiteId,
              request.events,
              request.names.join(", "),
              request.keys.join(", "),
              request.advice,
            ])}
          />
        </>
      }
    >
      {matches.length === 0 ? (
        <Empty title="No requests match">
          <Link class="button" href={router.hrefWith({ reason: undefined, site: undefined })}>
            Clear filters
          </Link>
        </Empty>
      ) : (
        <DataTable
          name="Rejected requests"
          columns={["Time", "Path", "Reason", "Status", "Website", "Events", "Event names", "Property keys"]}
          numeric={[false, false, false, true, false, true, false, false]}
          rows={visible.map((request) => [
            <time key="time" class="nowrap" dateTime={request.time}>
              {format.moment(request.time, now())}
            </time>,
            request.path,
            <span key="reason" class="nowrap">
              {reasonText(request.reason)}
            </span>,
            request.status,
            <span key="website" class={`rejected-site ${request.websiteId === null ? "muted" : ""}`}>
              {nameOf(request.websiteId)}
            </span>,
            request.events === null ? "" : format.count(request.events),
            <TextList key="names" texts={request.names} />,
            <TextList key="keys" texts={request.keys} />,
          ])}
        />
      )}
      {matches.length > visible.length && (
        <div class="rejected-more">
          <button type="button" class="button" onClick={() => setRows(rows + pageSize)}>
            Show older requests
          </button>
        </div>
      )}
    </Panel>
  )
}

/** The websites named in the requests; null stands for requests that named none or several. */
function sitesOf(requests: readonly RejectedRequest[]): (string | null)[] {
  const ids = [...new Set(requests.flatMap(({ websiteId }) => websiteId ?? []))].sort()
  return requests.some((request) => matchesSite(request, noWebsite)) ? [...ids, null] : ids
}

interface ChoiceProps {
  label: string
  /** The selected option; '' for all. */
  value: string
  options: readonly (readonly [value: string, label: string])[]
  onChange: (value: string) => void
}

function Choice({ label, value, options, onChange }: ChoiceProps) {
  const hasOption = value === "" || options.some(([option]) => option === value)
  return (
    <label class="inline-field">
      {label}
      <Select
        value={value}
        options={[
          { value: "", label: "All" },
          ...(hasOption ? [] : [{ value, label: value }]),
          ...options.map(([option, text]) => ({ value: option, label: text })),
        ]}
        onChange={onChange}
      />
    </label>
  )
}

/** Shows the first texts, and a button to show the rest. */
function TextList({ texts }: { texts: readonly string[] }) {
  if (texts.length <= shownTexts) return <span class="rejected-texts">{texts.join(", ")}</span>
  return (
    <details class="rejected-texts">
      <summary>
        {texts.slice(0, shownTexts).join(", ")} and {texts.length - shownTexts} more
      </summary>
      {texts.slice(shownTexts).join(", ")}
    </details>
  )
}
