import type { ComponentChildren } from "preact"
import { useEffect, useRef } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { FilterBar } from "../controls/filter-bar.tsx"
import { RangePicker } from "../controls/range-picker.tsx"
import { useFormat } from "../controls/use-format.ts"
import { ViewMenu } from "../saved/view-menu.tsx"

interface PageProps {
  title: string
  /** Shown next to the title. */
  actions?: ComponentChildren
  /** Whether the page belongs to a website and a range. False for settings. */
  scoped?: boolean
  /** Hides the range picker. */
  unranged?: boolean
  /** Hides the filter bar. */
  unfiltered?: boolean
  children: ComponentChildren
}

/** Website and range for printing, where the buttons that show them are hidden. */
function PrintHeader({ unranged }: { unranged: boolean }) {
  const { session, view } = useApp()
  const { website, range, zone } = view.value
  const format = useFormat()
  const days = unranged ? [] : [format.span(range), zone]
  return <p class="print-header">{[session.nameOf(website), ...days].join(" · ")}</p>
}

/** A page with its title, actions, range picker and filters. */
export function Page({
  title,
  actions,
  scoped = true,
  unranged = false,
  unfiltered = false,
  children,
}: PageProps) {
  const { session, view, router } = useApp()
  const heading = useRef<HTMLHeadingElement>(null)
  const { page } = router.location.value
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
      {scoped && <PrintHeader unranged={unranged} />}
      {scoped && !unfiltered && <FilterBar />}
      {children}
    </main>
  )
}
