import type { ComponentChildren } from "preact"
import { useState } from "preact/hooks"
import { messageOf } from "../../../errors.ts"
import { useApp } from "../../state/app.ts"
import type { Me } from "../../state/session.ts"
import { Icon } from "../controls/icons.tsx"
import { Link } from "../controls/link.tsx"
import { Logo } from "../controls/logo.tsx"
import { groupLabels, pagesFor } from "../controls/navigation-menu.ts"
import { Popover } from "../controls/popover.tsx"
import { SearchField } from "../controls/search-field.tsx"
import { ThemeChoice } from "../controls/theme-choice.tsx"
import { homeSite } from "./home.ts"
import { type ShortcutDialog, Shortcuts } from "./shortcuts.tsx"

/** The frame of every page: website menu, navigation, user menu and toasts. */
export function Shell({ children }: { children: ComponentChildren }) {
  const { router, session, preferences, embed } = useApp()
  const [isOpen, setOpen] = useState(false)
  const [dialog, setDialog] = useState<ShortcutDialog>()
  const { page, base, website } = router.location.value
  const share = session.me.value?.share
  // The navigation links to the default website if the page does not belong to a website that the user can open.
  const isOutside = base === "" || (website !== undefined && !session.canRead(website))
  if (embed)
    return (
      <div class="embedded" data-chart={embed.chart}>
        {children}
        <Toasts />
      </div>
    )
  if (share?.boardId)
    return (
      <div class="bare">
        <header class="bare-head">
          <Logo />
          <SharedName share={share} />
          <UserMenu align="end" />
        </header>
        {children}
        <Toasts />
      </div>
    )
  return (
    <div class="shell">
      <a class="skip" href="#main">
        Skip to content
      </a>
      <div class={`side ${isOpen ? "open" : ""}`}>
        <header class="side-head">
          <Logo />
          {share ? <SharedName share={share} /> : <WebsiteMenu />}
          <button
            type="button"
            class="button icon-only side-toggle"
            aria-label="Navigation"
            aria-expanded={isOpen}
            onClick={() => setOpen(!isOpen)}
          >
            <Icon name={isOpen ? "close" : "menu"} />
          </button>
        </header>
        <button type="button" class="button side-search" onClick={() => setDialog("palette")}>
          <Icon name="search" /> Search <kbd>Ctrl K</kbd>
        </button>
        <nav aria-label="Pages">
          {[...Map.groupBy(pagesFor(session), ({ group }) => group)].map(([group, entries]) => (
            <div class="nav" key={group}>
              {group && <p id={`nav-${group}`}>{groupLabels[group]}</p>}
              <ul aria-labelledby={group && `nav-${group}`}>
                {entries.map((entry) => (
                  <li key={entry.page}>
                    <Link
                      href={
                        entry.path ??
                        (isOutside
                          ? `/w/${encodeURIComponent(homeSite(session, preferences))}/${entry.page}`
                          : router.pageHref(entry.page))
                      }
                      isCurrent={entry.path ? base === "" : !isOutside && isSubpageOf(page, entry.page)}
                      onClick={() => setOpen(false)}
                    >
                      <Icon name={entry.icon} /> {entry.label}
                    </Link>
                  </li>
                ))}
              </ul>
            </div>
          ))}
        </nav>
        <div class="side-foot">
          <UserMenu />
        </div>
      </div>
      {children}
      <Toasts />
      <Shortcuts shown={dialog} onShow={setDialog} />
    </div>
  )
}

/** The website that a share link shows, and the name of the link. */
function SharedName({ share: { name, websiteId } }: { share: NonNullable<Me["share"]> }) {
  const website = useApp().session.nameOf(websiteId ?? "all")
  return (
    <div class="shared-name">
      <strong class="site-name">{website}</strong>
      {name !== website && <span class="site-name muted">{name}</span>}
    </div>
  )
}

function Toasts() {
  const { toasts } = useApp()
  return (
    <div class="toasts" role="status">
      {toasts.list.value.map(({ id, text, kind }) => (
        <div key={id} class={`toast ${kind}`}>
          {text}
          <button
            type="button"
            class="chip-close"
            aria-label="Dismiss message"
            onClick={() => toasts.remove(id)}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  )
}

function WebsiteMenu() {
  const { session, router, preferences } = useApp()
  const { website } = router.location.value
  const shown = website !== undefined && session.canRead(website) ? website : homeSite(session, preferences)
  return (
    <Popover
      class="button site-button"
      name={`Website: ${session.nameOf(shown)}`}
      label={
        <>
          <span class="site-name">{session.nameOf(shown)}</span> <Icon name="down" />
        </>
      }
    >
      {(close) => <WebsiteList onGo={close} />}
    </Popover>
  )
}

/** The website menu has a search field if there are more websites than this. */
const maxWithoutSearch = 12

function WebsiteList({ onGo }: { onGo: () => void }) {
  const { session, router } = useApp()
  const [part, setPart] = useState("")
  const sites = session.sites.value
  const combined = session.canSeeAll ? ["all", "none"] : []
  const matches = [...sites.map(({ id }) => id), ...combined].filter((id) =>
    session.nameOf(id).toLowerCase().includes(part.toLowerCase()),
  )
  return (
    <>
      {sites.length > maxWithoutSearch && (
        <SearchField label="Find website" value={part} onSearch={setPart} autofocus />
      )}
      <ul class="menu">
        {matches.map((id) => (
          <li key={id}>
            <Link
              href={router.websiteHref(id)}
              isCurrent={id === router.location.value.website}
              onClick={onGo}
            >
              {session.nameOf(id)}
            </Link>
          </li>
        ))}
        {matches.length === 0 && <li class="muted">No matches</li>}
        {session.isOwner && (
          <li class="divided">
            <Link href="/settings/websites" onClick={onGo}>
              <Icon name="plus" /> Add website
            </Link>
          </li>
        )}
      </ul>
    </>
  )
}

function UserMenu({ align = "start" }: { align?: "start" | "end" }) {
  const app = useApp()
  const { session, api, router, toasts } = app
  const me = session.me.value
  const logOut = async () => {
    try {
      await api.send("POST", "logout", {})
    } catch (error) {
      toasts.show(messageOf(error), "failed")
      return
    }
    router.navigate("/login")
    app.clearSession()
  }
  return (
    <Popover
      class="button quiet user-button"
      name={me?.user ? `${me.user.email}: appearance, log out` : "Appearance"}
      label={<span class="site-name">{me?.user?.email ?? "Appearance"}</span>}
      align={align}
    >
      {(close) => (
        <div class="menu-box">
          <ThemeChoice />
          {me?.user && (
            <ul class="menu divided">
              <li>
                <Link href="/settings/account" onClick={close}>
                  Account
                </Link>
              </li>
              <li>
                <button type="button" onClick={logOut}>
                  Log out
                </button>
              </li>
            </ul>
          )}
        </div>
      )}
    </Popover>
  )
}

/** Whether a page belongs to a navigation entry. For example, the page of a single event belongs to Events. */
function isSubpageOf(page: string, entry: string): boolean {
  return (
    page === entry ||
    page.startsWith(`${entry}/`) ||
    (page === "event" && entry === "events") ||
    (page === "person" && entry === "people")
  )
}
