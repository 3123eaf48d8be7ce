import { useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import {
  type Comparison,
  comparisonParam,
  comparisons,
  presets,
  rangeParams,
  shiftRange,
} from "../../state/range.ts"
import { Icon } from "./icons.tsx"
import { Popover } from "./popover.tsx"
import { Select } from "./select.tsx"
import { useFormat } from "./use-format.ts"

/** Selects the page's range, comparison and time zone. */
export function RangePicker() {
  const { router, view } = useApp()
  const { range, today, zone } = view.value
  const format = useFormat()
  const label = presets.find(({ preset }) => preset === range.preset)?.label
  const days = format.span(range)
  const [earlier, later] = [shiftRange(range, -1, today), shiftRange(range, 1, today)]
  return (
    <div class="range">
      <button
        type="button"
        class="button icon-only"
        aria-label="Previous period"
        title="Previous period (,)"
        onClick={() => earlier && router.setParams(rangeParams(earlier))}
      >
        <Icon name="left" />
      </button>
      <Popover
        label={
          <>
            <Icon name="calendar" /> <span>{label ?? days}</span> <Icon name="down" />
          </>
        }
        name={`Range: ${label ?? days}`}
        class="button"
        align="end"
      >
        {(close) => (
          <div class="range-panel">
            <ul class="menu">
              {presets.map(({ preset, label, key }) => (
                <li key={preset}>
                  <button
                    type="button"
                    aria-current={preset === range.preset ? "true" : undefined}
                    onClick={() => {
                      router.setParams(rangeParams({ preset }))
                      close()
                    }}
                  >
                    {label}
                    {key && <kbd>{key}</kbd>}
                  </button>
                </li>
              ))}
            </ul>
            <div class="range-side">
              <CustomRange
                key={`${range.from} ${range.to}`}
                from={range.from}
                to={range.to}
                today={today}
                done={close}
              />
              <ComparisonPicker />
              <ZonePicker zone={zone} />
            </div>
          </div>
        )}
      </Popover>
      <button
        type="button"
        class="button icon-only"
        aria-label="Next period"
        title="Next period (.)"
        aria-disabled={!later}
        onClick={() => later && router.setParams(rangeParams(later))}
      >
        <Icon name="right" />
      </button>
    </div>
  )
}

/** Selects the comparison period. */
function ComparisonPicker() {
  const { router, view } = useApp()
  const { compare, range, today } = view.value
  const isCustom = typeof compare === "object"
  const set = (comparison: Comparison | undefined) =>
    router.setParams({ compare: comparisonParam(comparison) })
  // Until the user changes them, the custom dates are the period right before the range.
  const proposed = shiftRange(range, -1, today) ?? range
  const custom: { startDate: string; endDate: string } = isCustom
    ? compare
    : { startDate: proposed.from, endDate: proposed.to }
  return (
    <div class="custom-range">
      <label class="field wide">
        Compare to
        <Select
          value={isCustom ? "custom" : (compare ?? "none")}
          options={[
            ...comparisons,
            { value: "custom", label: "Custom dates" },
            { value: "none", label: "Nothing" },
          ]}
          onChange={(value) =>
            set(
              value === "custom"
                ? custom
                : comparisons.find((comparison) => comparison.value === value)?.value,
            )
          }
        />
      </label>
      {isCustom &&
        (["startDate", "endDate"] as const).map((bound) => (
          <label key={bound} class="field">
            {bound === "startDate" ? "Compare from" : "Compare until"}
            <input
              type="date"
              required
              value={custom[bound]}
              max={today}
              onChange={({ currentTarget: { value } }) => {
                if (value === "") return
                const startDate = bound === "startDate" ? value : custom.startDate
                const endDate = bound === "endDate" ? value : custom.endDate
                // If the start is after the end, both are set to the date just entered.
                if (startDate <= endDate) set({ startDate, endDate })
                else set({ startDate: value, endDate: value })
              }}
            />
          </label>
        ))}
    </div>
  )
}

function CustomRange({
  from,
  to,
  today,
  done,
}: {
  from: string
  to: string
  today: string
  done: () => void
}) {
  const { router } = useApp()
  const [first, setFirst] = useState(from)
  const [last, setLast] = useState(to)
  return (
    <form
      class="custom-range"
      onSubmit={(event) => {
        event.preventDefault()
        const [start, end] = first <= last ? [first, last] : [last, first]
        router.setParams(rangeParams({ from: start, to: end }))
        done()
      }}
    >
      <label class="field">
        From
        <input
          type="date"
          required
          value={first}
          max={today}
          onInput={(event) => setFirst(event.currentTarget.value)}
        />
      </label>
      <label class="field">
        To
        <input
          type="date"
          required
          value={last}
          max={today}
          onInput={(event) => setLast(event.currentTarget.value)}
        />
      </label>
      <button type="submit" class="button">
        Apply
      </button>
    </form>
  )
}

function ZonePicker({ zone }: { zone: string }) {
  const { router } = useApp()
  const zones = Intl.supportedValuesOf("timeZone")
  const all = [...new Set([zone, "UTC", ...zones])]
  return (
    <label class="field">
      Time zone
      <Select
        value={zone}
        options={all.map((name) => ({ value: name, label: name.replaceAll("_", " ") }))}
        onChange={(tz) => router.setParams({ tz })}
      />
    </label>
  )
}
