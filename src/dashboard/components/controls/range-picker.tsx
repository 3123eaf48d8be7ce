import { useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { presets, rangeParams, shifted } from "../../state/range.ts"
import { Icon } from "./icons.tsx"
import { Popover } from "./popover.tsx"
import { useFormat } from "./use-format.ts"

/** The range, compared or not, and its time zone; what all numbers of a page are about. */
export function RangePicker() {
  const { place, view } = useApp()
  const { range, today, zone, compare } = view.value
  const format = useFormat()
  const label = presets.find(({ preset }) => preset === range.preset)?.label
  const days = format.days(range.from, range.to)
  const [earlier, later] = [shifted(range, -1, today), shifted(range, 1, today)]
  return (
    <div class="range">
      <button
        type="button"
        class="button icon-only"
        aria-label="Previous period"
        title="Previous period (,)"
        onClick={() => earlier && place.set(rangeParams({ ...earlier }))}
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
                      place.set(rangeParams({ preset, from: "", to: "" }))
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
              <OwnDays
                key={`${range.from} ${range.to}`}
                from={range.from}
                to={range.to}
                today={today}
                done={close}
              />
              <label class="check">
                <input
                  type="checkbox"
                  checked={compare}
                  onChange={() => place.set({ compare: compare ? "off" : undefined })}
                />
                Compare with the period before
              </label>
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
        onClick={() => later && place.set(rangeParams({ ...later }))}
      >
        <Icon name="right" />
      </button>
    </div>
  )
}

function OwnDays({ from, to, today, done }: { from: string; to: string; today: string; done: () => void }) {
  const { place } = useApp()
  const [first, setFirst] = useState(from)
  const [last, setLast] = useState(to)
  return (
    <form
      class="own-days"
      onSubmit={(event) => {
        event.preventDefault()
        const [begin, end] = first <= last ? [first, last] : [last, first]
        place.set(rangeParams({ from: begin, to: end }))
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
        Show these days
      </button>
    </form>
  )
}

function ZonePicker({ zone }: { zone: string }) {
  const { place } = useApp()
  const zones = Intl.supportedValuesOf("timeZone")
  const all = [...new Set([zone, "UTC", ...zones])]
  return (
    <label class="field">
      Time zone
      <select value={zone} onChange={(event) => place.set({ tz: event.currentTarget.value })}>
        {all.map((one) => (
          <option key={one} value={one}>
            {one.replaceAll("_", " ")}
          </option>
        ))}
      </select>
    </label>
  )
}
