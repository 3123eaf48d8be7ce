import { useState } from "preact/hooks"
import { Confirm, Dialog } from "../components/controls/dialog.tsx"
import { Form } from "../components/controls/form.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { SecretDialog } from "../components/controls/secret-dialog.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { useResource } from "../state/resource.ts"
import type { User as Person } from "../state/session.ts"
import { List, More, Row } from "./list.tsx"
import { SettingsPage } from "./settings-page.tsx"
import { WebsiteChoice, websitesText } from "./website-choice.tsx"

interface User extends Person {
  createdAt: string
  lastLoginAt: string | null
}

/** A one-time link, in the one answer that has it. */
interface Invite {
  path: string
  expiresAt: string
}

interface Made {
  email: string
  invite: Invite
}

type Asked = { what: "invite" } | { what: "edit" | "link" | "delete"; user: User }

export function Users() {
  const { place } = useApp()
  const format = useFormat()
  const users = useResource<{ users: User[] }>("users")
  const [asked, setAsked] = useState<Asked>()
  const [made, setMade] = useState<Made>()
  const close = () => setAsked(undefined)
  const show = (link: Made) => {
    setMade(link)
    users.again()
  }
  const owners = users.data?.users.filter(({ role }) => role === "owner").length ?? 0
  const invite = (
    <button type="button" class="button primary" onClick={() => setAsked({ what: "invite" })}>
      <Icon name="plus" /> Invite somebody
    </button>
  )
  return (
    <SettingsPage name="users" title="Users" actions={invite}>
      <Panel title="Who may log in">
        <List
          name="Users"
          of={users}
          empty={<Empty title="Nobody may log in" />}
          rows={(answer) =>
            answer.users.map((user) => (
              <UserRow
                key={user.id}
                user={user}
                isLastOwner={user.role === "owner" && owners === 1}
                ask={setAsked}
              />
            ))
          }
        />
      </Panel>
      {asked?.what === "invite" && <Invitation onClose={close} onInvited={show} />}
      {asked?.what === "edit" && <UserForm user={asked.user} onClose={close} onChanged={users.again} />}
      {asked?.what === "link" && <NewLink user={asked.user} onClose={close} onMade={show} />}
      {asked?.what === "delete" && <Deletion user={asked.user} onClose={close} onChanged={users.again} />}
      {made && (
        <SecretDialog
          title={`The link for ${made.email}`}
          code={place.origin + made.invite.path}
          copy="Copy the link"
          onClose={() => setMade(undefined)}
        >
          <p>
            Give it to {made.email}, and to nobody else: whoever opens it chooses the password. It works once,
            until {format.time(made.invite.expiresAt)}, and is shown this once.
          </p>
        </SecretDialog>
      )}
    </SettingsPage>
  )
}

interface UserRowProps {
  user: User
  isLastOwner: boolean
  ask: (asked: Asked) => void
}

function UserRow({ user, isLastOwner, ask }: UserRowProps) {
  const { session, now } = useApp()
  const format = useFormat()
  const { email, role, websites, createdAt, lastLoginAt } = user
  const isMe = session.me.value?.user?.id === user.id
  const choices = [
    { label: "Make a link for a new password…", run: () => ask({ what: "link", user }) },
    // Nobody would be left to look after users.
    ...(isLastOwner ? [] : [{ label: "Delete…", run: () => ask({ what: "delete", user }) }]),
  ]
  return (
    <Row
      title={email}
      badge={isMe && <span class="badge">you</span>}
      facts={[
        ["Role", role === "owner" ? "Owner" : "Viewer"],
        ["Websites", websitesText(websites, (id) => session.nameOf(id))],
        ["Last login", lastLoginAt === null ? "never" : format.ago(lastLoginAt, now())],
        ["Since", format.day(createdAt)],
      ]}
      actions={
        <>
          {!isLastOwner && (
            <button
              type="button"
              class="button small"
              aria-label={`Edit ${email}`}
              onClick={() => ask({ what: "edit", user })}
            >
              Edit
            </button>
          )}
          <More name={email} choices={choices} />
        </>
      }
    />
  )
}

interface RightsProps {
  role: User["role"]
  websites: string[] | null
  onChange: (rights: { role: User["role"]; websites: string[] | null }) => void
}

function Rights({ role, websites, onChange }: RightsProps) {
  return (
    <>
      <label class="field">
        Role
        <select
          value={role}
          onChange={({ currentTarget: { value } }) =>
            onChange(value === "owner" ? { role: "owner", websites: null } : { role: "viewer", websites })
          }
        >
          <option value="viewer">Viewer: may look, and change nothing</option>
          <option value="owner">Owner: may see and change everything</option>
        </select>
      </label>
      {role === "viewer" && (
        <WebsiteChoice websites={websites} onChange={(some) => onChange({ role, websites: some })} />
      )}
    </>
  )
}

function Invitation({ onClose, onInvited }: { onClose: () => void; onInvited: (made: Made) => void }) {
  const { api } = useApp()
  const [email, setEmail] = useState("")
  const [rights, setRights] = useState<Pick<User, "role" | "websites">>({ role: "viewer", websites: null })
  return (
    <Dialog title="Invite somebody" onClose={onClose}>
      <Form
        action="Make the link"
        isDisabled={rights.websites?.length === 0}
        onCancel={onClose}
        onSubmit={async () => {
          const { invite, user } = await api.send<{ invite: Invite; user: User }>("POST", "users", {
            email,
            ...rights,
          })
          onClose()
          onInvited({ email: user.email, invite })
        }}
      >
        <label class="field">
          Email
          <input
            type="email"
            autocomplete="off"
            required
            value={email}
            onInput={(event) => setEmail(event.currentTarget.value)}
          />
          <small>Nothing is mailed: you get a link to hand over.</small>
        </label>
        <Rights {...rights} onChange={setRights} />
      </Form>
    </Dialog>
  )
}

interface ChangeProps {
  user: User
  onClose: () => void
  onChanged: () => void
}

function UserForm({ user, onClose, onChanged }: ChangeProps) {
  const { api, toasts } = useApp()
  const [rights, setRights] = useState<Pick<User, "role" | "websites">>(user)
  return (
    <Dialog title={`Edit ${user.email}`} onClose={onClose}>
      <Form
        action="Keep the changes"
        isDisabled={rights.websites?.length === 0}
        onCancel={onClose}
        onSubmit={async () => {
          const { role, websites } = rights
          await api.send("PATCH", `users/${encodeURIComponent(user.id)}`, { role, websites })
          toasts.show(`${user.email} is changed.`)
          onChanged()
          onClose()
        }}
      >
        <Rights role={rights.role} websites={rights.websites} onChange={setRights} />
        <p class="muted">Whoever is logged in as {user.email} has to log in again.</p>
      </Form>
    </Dialog>
  )
}

function NewLink({
  user,
  onClose,
  onMade,
}: {
  user: User
  onClose: () => void
  onMade: (made: Made) => void
}) {
  const { api } = useApp()
  return (
    <Confirm
      title={`A link for ${user.email}?`}
      action="Make the link"
      isHarmless
      onClose={onClose}
      onConfirm={async () => {
        const { invite } = await api.send<{ invite: Invite }>(
          "POST",
          `users/${encodeURIComponent(user.id)}/reset`,
        )
        onMade({ email: user.email, invite })
      }}
    >
      <p>
        Whoever opens it chooses a password for {user.email}. Until then the old one works; links from before
        stop.
      </p>
    </Confirm>
  )
}

function Deletion({ user, onClose, onChanged }: ChangeProps) {
  const { api, toasts } = useApp()
  return (
    <Confirm
      title={`Delete ${user.email}?`}
      action="Delete"
      onClose={onClose}
      onConfirm={async () => {
        await api.send("DELETE", `users/${encodeURIComponent(user.id)}`)
        toasts.show(`${user.email} is deleted.`)
        onChanged()
      }}
    >
      <p>
        They are logged out at once and cannot log in again. What they made stays: keys, share links, notes,
        views.
      </p>
    </Confirm>
  )
}
