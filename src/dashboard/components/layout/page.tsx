import type { ComponentChildren } from "preact"
import { useEffect, useLayoutEffect, useRef } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { isolate } from "../../state/bidi.ts"
import { chartsOf } from "../../state/embed.ts"
import { filterText } from "../../state/filters.ts"
import { FilterBar } from "../controls/filter-bar.tsx"
import { RangePicker } from "../controls/range-picker.tsx"
import { useFormat } from "../controls/use-format.ts"
import { ViewMenu } from "../saved/view-menu.tsx"
import { Empty } from "./states.tsx"

interface PageProps {
  title: string
  /** Shown next to the title. */
  actions?: ComponentChildren
  /** Whether the page belongs to a website and has a range. False for settings. */
  scoped?: boolean
  /** Hides the range picker. */
  unranged?: boolean
  /** Hides the filter bar. */
  unfiltered?: boolean
  /**
   * Labels of the parts of the page that can be embedded on their own, keyed by name. Default: the page's charts. null
   * if the parts are not known yet.
   */
  charts?: Readonly<Record<string, string>> | null
  children: ComponentChildren
}

/** Shows the website and range when the page is printed, because the buttons that show them on screen are hidden. */
function PrintHeader({ unranged }: { unranged: boolean }) {
  const { session, view } = useApp()
  const { website, range, zone } = view.value
  const format = useFormat()
  const days = unranged ? [] : [format.span(range), zone]
  return <p class="print-header">{[session.nameOf(website), ...days].join(" · ")}</p>
}

interface EmbeddedPageProps {
  title: string
  chart: string | undefined
  /** Labels of the values that `chart` can have, or null if the values are not known yet. */
  charts: Readonly<Record<string, string>> | null
  children: ComponentChildren
}

/**
 * A page, or one chart of it, embedded in another website. Instead of navigation, it has a line with the website and
 * range. A single chart has no filter bar, so the line also lists the filters.
 */
function EmbeddedPage({ title, chart, charts, children }: EmbeddedPageProps) {
  const { session, view } = useApp()
  const format = useFormat()
  const { website, range, zone, filters } = view.value
  const source = (
    <p class="embedded-source muted">
      {[
        session.nameOf(website),
        format.span(range),
        zone,
        ...(chart === undefined ? [] : filters.map(filterText)),
      ].join(" · ")}
    </p>
  )
  const isUnknown = chart !== undefined && charts !== null && !Object.hasOwn(charts, chart)
  return (
    <main class="page" id="main">
      {chart === undefined ? (
        <header class="page-head">
          <h1>{title}</h1>
          {source}
        </header>
      ) : (
        <h1 class="hidden">{title}</h1>
      )}
      {isUnknown ? (
        <Empty title={`This page has no chart named “${chart}”`}>
          Use one of {Object.keys(charts ?? {}).join(", ")}, or remove “chart” from the URL.
        </Empty>
      ) : (
        children
      )}
      {chart !== undefined && source}
    </main>
  )
}

/** A page with its title, actions, range picker, filters and content. */
export function Page({
  title,
  actions,
  scoped = true,
  unranged = false,
  unfiltered = false,
  charts,
  children,
}: PageProps) {
  const { session, view, router, embed } = useApp()
  const { filters } = view.value
  const heading = useRef<HTMLHeadingElement>(null)
  const { page } = router.location.value
  const where = scoped ? `${isolate(session.nameOf(view.value.website))} · ` : ""
  useEffect(() => {
    document.title = `${isolate(title)} · ${where}Databuddy`
  }, [title, where])
  // A layout effect, so that keys pressed as soon as a page opens go to its search field.
  useLayoutEffect(() => {
    if (document.activeElement !== document.body && !document.activeElement?.closest("nav")) return
    // On a touch screen, the keyboard would cover the page.
    const search = matchMedia("(hover: hover)").matches
      ? document.querySelector<HTMLElement>("#main [data-autofocus]")
      : null
    ;(search ?? heading.current)?.focus()
  }, [page])
  if (embed && scoped)
    return (
      <EmbeddedPage title={title} chart={embed.chart} charts={charts === undefined ? chartsOf(page) : charts}>
        {filters.length > 0 && !unfiltered && embed.chart === undefined && <FilterBar />}
        {children}
      </EmbeddedPage>
    )
  return (
    <main class="page" id="main">
      <header class="page-head">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {actions && <div class="page-actions">{actions}</div>}
        {scoped && <ViewMenu />}
      </header>
      {scoped && <PrintHeader unranged={unranged} />}
      {scoped && !(unranged && unfiltered) && (
        <div class="page-bar">
          {unfiltered ? <span /> : <FilterBar />}
          {!unranged && <RangePicker />}
        </div>
      )}
      {children}
    </main>
  )
}
