import type { ComponentChildren } from "preact"
import { useState } from "preact/hooks"
import { messageOf } from "../../state/api.ts"
import { useApp } from "../../state/app.ts"
import { Icon } from "../controls/icons.tsx"
import { Link } from "../controls/link.tsx"
import { pagesFor } from "../controls/pages.ts"
import { Popover } from "../controls/popover.tsx"
import { SearchField } from "../controls/search-field.tsx"
import { ThemeChoice } from "../controls/theme-choice.tsx"
import { homeSite } from "./home.ts"
import { Shortcuts } from "./shortcuts.tsx"

/** What stands around every page: websites, navigation, who one is. */
export function Shell({ children }: { children: ComponentChildren }) {
  const { place, session, preferences } = useApp()
  const [isOpen, setOpen] = useState(false)
  const { page, base } = place.spot.value
  const share = session.me.value?.share
  return (
    <div class="shell">
      <a class="skip" href="#main">
        To the content
      </a>
      <div class={`side ${isOpen ? "open" : ""}`}>
        <header class="side-head">
          {share ? <strong class="site-name">{share.name}</strong> : <SiteMenu />}
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
        <nav aria-label="Pages">
          <ul class="nav">
            {pagesFor(session).map((one) => (
              <li key={one.page}>
                <Link
                  href={
                    one.path ??
                    (base === ""
                      ? `/w/${encodeURIComponent(homeSite(session, preferences))}/${one.page}`
                      : place.to(one.page))
                  }
                  isCurrent={one.path ? base === "" : base !== "" && isWithin(page, one.page)}
                  onClick={() => setOpen(false)}
                >
                  <Icon name={one.icon} /> {one.label}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <div class="side-foot">
          <PersonMenu />
        </div>
      </div>
      {children}
      <Toasts />
      <Shortcuts />
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
            aria-label="Close the message"
            onClick={() => toasts.remove(id)}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  )
}

function SiteMenu() {
  const { session, place, preferences } = useApp()
  const shown = place.spot.value.website ?? homeSite(session, preferences)
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
      {(close) => <SiteList onGo={close} />}
    </Popover>
  )
}

/** Websites that are found by looking; of more a part of the name is typed. */
const mostAtAGlance = 12

function SiteList({ onGo }: { onGo: () => void }) {
  const { session, place } = useApp()
  const [part, setPart] = useState("")
  const sites = session.sites.value
  const together = session.seesAll ? ["all", "none"] : []
  const found = [...sites.map(({ id }) => id), ...together].filter((id) =>
    session.nameOf(id).toLowerCase().includes(part.toLowerCase()),
  )
  return (
    <>
      {sites.length > mostAtAGlance && (
        <SearchField label="Find a website" value={part} onSearch={setPart} autofocus />
      )}
      <ul class="menu">
        {found.map((id) => (
          <li key={id}>
            <Link href={place.ofWebsite(id)} isCurrent={id === place.spot.value.website} onClick={onGo}>
              {session.nameOf(id)}
            </Link>
          </li>
        ))}
        {found.length === 0 && <li class="muted">Nothing has this in its name.</li>}
        {session.isOwner && (
          <li class="apart">
            <Link href="/settings/websites" onClick={onGo}>
              <Icon name="plus" /> Add a website
            </Link>
          </li>
        )}
      </ul>
    </>
  )
}

function PersonMenu() {
  const app = useApp()
  const { session, api, place, toasts } = app
  const me = session.me.value
  const logOut = async () => {
    try {
      await api.send("POST", "logout", {})
    } catch (error) {
      toasts.show(messageOf(error), "failed")
      return
    }
    place.go("/login")
    app.forget()
  }
  return (
    <Popover
      class="button quiet person-button"
      name={me?.user ? `${me.user.email}: appearance, log out` : "Appearance"}
      label={<span class="site-name">{me?.user?.email ?? "Appearance"}</span>}
    >
      {(close) => (
        <div class="menu-box">
          <ThemeChoice />
          {me?.user && (
            <ul class="menu apart">
              <li>
                <Link href="/settings/account" onClick={close}>
                  Your account
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

/** The page of an event belongs to the list of events, and so on. */
function isWithin(page: string, entry: string): boolean {
  return (
    page === entry ||
    page.startsWith(`${entry}/`) ||
    (page === "event" && entry === "events") ||
    (page === "person" && entry === "people")
  )
}
