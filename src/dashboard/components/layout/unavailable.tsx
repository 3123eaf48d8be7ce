import type { ComponentChildren } from "preact"

/** Texts for each reason why a link cannot be opened: what happened, and what to do next. */
const texts = {
  share: {
    title: "This link is no longer valid",
    text: "It was revoked, has expired, or is incomplete.",
    next: "Ask the person who sent it for a new one.",
  },
  sharedPage: {
    title: "This link does not include this page",
    text: "The person who shared it did not share this page.",
    next: "Go back to the shared page, or ask them for another link.",
  },
  invite: {
    title: "This link is no longer valid",
    text: "It has already been used or has expired.",
    next: "If you have a password, log in. Otherwise, ask an owner for a new link.",
  },
  website: {
    title: "Website not found or no access",
    text: "It was deleted, its ID is wrong, or your account cannot see it.",
    next: "Check the address, or ask an owner for access.",
  },
  section: {
    title: "No access to this page",
    text: "Your account is limited to other pages.",
    next: "Ask an owner for access to it.",
  },
  page: {
    title: "Page not found or no access",
    text: "Nothing exists at this address, or only owners can open it.",
    next: "Check the address, or ask an owner.",
  },
} as const

export type Unavailable = keyof typeof texts

export function unavailableTitle(kind: Unavailable): string {
  return texts[kind].title
}

interface UnavailableTextProps {
  kind: Unavailable
  /** A link or button. */
  children?: ComponentChildren
}

/** Explains why a link cannot be opened. The surrounding page shows the title. */
export function UnavailableText({ kind, children }: UnavailableTextProps) {
  const { text, next } = texts[kind]
  return (
    <>
      <div class="prose">
        <p>{text}</p>
        <p>{next}</p>
      </div>
      {children}
    </>
  )
}
