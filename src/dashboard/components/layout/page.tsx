import type { ComponentChildren } from "preact"
import { useEffect, useRef } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { FilterBar } from "../controls/filter-bar.tsx"
import { RangePicker } from "../controls/range-picker.tsx"
import { useFormat } from "../controls/use-format.ts"
import { ViewMenu } from "../saved/view-menu.tsx"

interface PageProps {
  title: string
  /** Beside the title. */
  actions?: ComponentChildren
  /** What the range and the filters are about is shown: false for pages of settings. */
  scoped?: boolean
  /** The range means nothing here. */
  unranged?: boolean
  /** Filters mean nothing here. */
  unfiltered?: boolean
  children: ComponentChildren
}

/** What the buttons say on the screen: which website and days the numbers are of. */
function OnPaper({ unranged }: { unranged: boolean }) {
  const { session, view } = useApp()
  const { website, range, zone } = view.value
  const format = useFormat()
  const days = unranged ? [] : [format.days(range.from, range.to), zone]
  return <p class="on-paper">{[session.nameOf(website), ...days].join(" · ")}</p>
}

/** A page: its title, what it is about, and its panels. */
export function Page({
  title,
  actions,
  scoped = true,
  unranged = false,
  unfiltered = false,
  children,
}: PageProps) {
  const { session, view, place } = useApp()
  const heading = useRef<HTMLHeadingElement>(null)
  const { page } = place.spot.value
  const where = scoped ? `${session.nameOf(view.value.website)} · ` : ""
  useEffect(() => {
    document.title = `${title} · ${where}Databuddy`
  }, [title, where])
  useEffect(() => {
    if (document.activeElement === document.body || document.activeElement?.closest("nav"))
      heading.current?.focus()
  }, [page])
  return (
    <main class="page" id="main">
      <header class="page-head">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        <div class="page-actions">
          {actions}
          {scoped && <ViewMenu />}
          {scoped && !unranged && <RangePicker />}
        </div>
      </header>
      {scoped && <OnPaper unranged={unranged} />}
      {scoped && !unfiltered && <FilterBar />}
      {children}
    </main>
  )
}
