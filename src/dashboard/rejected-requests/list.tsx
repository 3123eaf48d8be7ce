import { useState } from "preact/hooks"
import { DataTable, DownloadCsv } from "../components/charts/data-table.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { isOfSite, type RejectedRequest, reasonText, unnamed } from "./rejected.ts"

/** Rows that are shown before somebody asks for more, and that come then. */
const rowStep = 100
/** Names and keys of a row that are shown at once. */
const shownTexts = 5

interface ListProps {
  all: readonly RejectedRequest[]
  ofSite: readonly RejectedRequest[]
  /** '': all, as `site`. */
  reason: string
  site: string
}

/** The requests themselves, the newest first. */
export function RejectedRequestList({ all, ofSite, reason, site }: ListProps) {
  const { place, session, now } = useApp()
  const format = useFormat()
  const [rows, setRows] = useState(rowStep)
  const found = ofSite.filter((one) => reason === "" || one.reason === reason)
  const shown = found.slice(0, rows)
  const nameOf = (id: string | null) => (id === null ? "None, or several" : session.nameOf(id))
  return (
    <Panel
      title="Refused requests"
      actions={
        <>
          <Choice
            label="Reason"
            value={reason}
            options={[...new Set(all.map((one) => one.reason))].sort().map((one) => [one, reasonText(one)])}
            onChange={(value) => place.set({ reason: value || undefined })}
          />
          <Choice
            label="Website"
            value={site}
            options={sitesOf(all).map((id) => [id ?? unnamed, nameOf(id)])}
            onChange={(value) => place.set({ site: value || undefined })}
          />
          <DownloadCsv
            file="refusals"
            columns={["time", "path", "status", "reason", "website", "events", "names", "keys", "advice"]}
            rows={found.map((one) => [
              one.time,
              one.path,
              one.status,
              one.reason,
              one.websiteId,
              one.events,
              one.names.join(", "),
              one.keys.join(", "),
              one.advice,
            ])}
          />
        </>
      }
    >
      {found.length === 0 ? (
        <Empty title="No refusal fits what is chosen">
          <Link class="button" href={place.with({ reason: undefined, site: undefined })}>
            Show all
          </Link>
        </Empty>
      ) : (
        <DataTable
          name="Refused requests"
          columns={["Time", "Path", "Reason", "Status", "Website", "Events", "Names", "Keys"]}
          numeric={[false, false, false, true, false, true, false, false]}
          rows={shown.map((one) => [
            <time key="time" class="nowrap" dateTime={one.time}>
              {format.moment(one.time, now())}
            </time>,
            one.path,
            <span key="reason" class="nowrap">
              {reasonText(one.reason)}
            </span>,
            one.status,
            <span key="website" class={`refusals-site ${one.websiteId === null ? "muted" : ""}`}>
              {nameOf(one.websiteId)}
            </span>,
            one.events === null ? "" : format.count(one.events),
            <Some key="names" texts={one.names} />,
            <Some key="keys" texts={one.keys} />,
          ])}
        />
      )}
      {found.length > shown.length && (
        <div class="refusals-more">
          <button type="button" class="button" onClick={() => setRows(rows + rowStep)}>
            Show older ones
          </button>
        </div>
      )}
    </Panel>
  )
}

/** The websites that requests named; null: some named none. */
function sitesOf(refusals: readonly RejectedRequest[]): (string | null)[] {
  const ids = [...new Set(refusals.flatMap(({ websiteId }) => websiteId ?? []))].sort()
  return refusals.some((one) => isOfSite(one, unnamed)) ? [...ids, null] : ids
}

interface ChoiceProps {
  label: string
  /** '': all. */
  value: string
  options: readonly (readonly [value: string, label: string])[]
  onChange: (value: string) => void
}

function Choice({ label, value, options, onChange }: ChoiceProps) {
  const isThere = value === "" || options.some(([one]) => one === value)
  return (
    <label class="refusals-choice">
      {label}
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">All</option>
        {!isThere && <option value={value}>{value}</option>}
        {options.map(([one, text]) => (
          <option key={one} value={one}>
            {text}
          </option>
        ))}
      </select>
    </label>
  )
}

/** A few of them, and the rest where somebody wants it. */
function Some({ texts }: { texts: readonly string[] }) {
  if (texts.length <= shownTexts) return <span class="refusals-texts">{texts.join(", ")}</span>
  return (
    <details class="refusals-texts">
      <summary>
        {texts.slice(0, shownTexts).join(", ")} and {texts.length - shownTexts} more
      </summary>
      {texts.slice(shownTexts).join(", ")}
    </details>
  )
}
