import { useState } from "preact/hooks"
import { Confirm, Dialog } from "../components/controls/dialog.tsx"
import { Form } from "../components/controls/form.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { MoreMenu } from "../components/controls/more-menu.tsx"
import { SecretDialog } from "../components/controls/secret-dialog.tsx"
import { Select } from "../components/controls/select.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { useResource } from "../state/resource.ts"
import type { User } from "../state/session.ts"
import { List, Row } from "./list.tsx"
import { roleTexts } from "./permissions.ts"
import { SectionChoice, sectionsText } from "./section-choice.tsx"
import { SettingsPage } from "./settings-page.tsx"
import { WebsiteChoice, websitesText } from "./website-choice.tsx"

interface ListedUser extends User {
  createdAt: string
  lastLoginAt: string | null
}

/** A one-time link. The API returns its path only when the link is created. */
interface Invite {
  path: string
  expiresAt: string
}

interface CreatedLink {
  email: string
  invite: Invite
}

type DialogState = { name: "invite" } | { name: "edit" | "link" | "delete"; user: User }

export function Users() {
  const { router } = useApp()
  const format = useFormat()
  const users = useResource<{ users: ListedUser[] }>("users")
  const [dialog, setDialog] = useState<DialogState>()
  const [created, setCreated] = useState<CreatedLink>()
  const close = () => setDialog(undefined)
  const show = (link: CreatedLink) => {
    setCreated(link)
    users.refetch()
  }
  const owners = users.data?.users.filter(({ role }) => role === "owner").length ?? 0
  const invite = (
    <button type="button" class="button primary" onClick={() => setDialog({ name: "invite" })}>
      <Icon name="plus" /> Invite user
    </button>
  )
  return (
    <SettingsPage name="users" title="Users" actions={invite}>
      <Panel title="All users">
        <List
          name="Users"
          resource={users}
          empty={<Empty title="No users" />}
          rows={(data) =>
            data.users.map((user) => (
              <UserRow
                key={user.id}
                user={user}
                isLastOwner={user.role === "owner" && owners === 1}
                openDialog={setDialog}
              />
            ))
          }
        />
      </Panel>
      {dialog?.name === "invite" && <InviteUser onClose={close} onInvited={show} />}
      {dialog?.name === "edit" && <UserForm user={dialog.user} onClose={close} onChanged={users.refetch} />}
      {dialog?.name === "link" && <ResetLink user={dialog.user} onClose={close} onCreated={show} />}
      {dialog?.name === "delete" && (
        <DeleteUser user={dialog.user} onClose={close} onChanged={users.refetch} />
      )}
      {created && (
        <SecretDialog
          title={`Link for ${created.email}`}
          code={router.serverUrl + created.invite.path}
          copyLabel="Copy link"
          onClose={() => setCreated(undefined)}
        >
          <p>
            Send this link only to {created.email}: anyone who opens it can set the password. It works once
            and expires on {format.time(created.invite.expiresAt)}. You won't see it again.
          </p>
        </SecretDialog>
      )}
    </SettingsPage>
  )
}

interface UserRowProps {
  user: ListedUser
  isLastOwner: boolean
  openDialog: (dialog: DialogState) => void
}

function UserRow({ user, isLastOwner, openDialog }: UserRowProps) {
  const { session, now } = useApp()
  const format = useFormat()
  const { email, role, websites, sections, createdAt, lastLoginAt } = user
  const isMe = session.me.value?.user?.id === user.id
  const actions = [
    { label: "Create password reset link…", run: () => openDialog({ name: "link", user }) },
    // The last owner cannot be deleted, because then nobody could manage users.
    ...(isLastOwner ? [] : [{ label: "Delete…", run: () => openDialog({ name: "delete", user }) }]),
  ]
  return (
    <Row
      title={email}
      badge={isMe && <span class="badge">You</span>}
      facts={[
        ["Role", roleTexts[role].label],
        ["Websites", websitesText(websites, (id) => session.nameOf(id))],
        ...(sections === null ? [] : [["Sections", sectionsText(sections)] as const]),
        ["Last login", lastLoginAt === null ? "Never" : format.ago(lastLoginAt, now())],
        ["Created", format.day(createdAt)],
      ]}
      actions={
        <>
          {!isLastOwner && (
            <button
              type="button"
              class="button small"
              aria-label={`Edit ${email}`}
              onClick={() => openDialog({ name: "edit", user })}
            >
              Edit
            </button>
          )}
          <MoreMenu name={email} actions={actions} />
        </>
      }
    />
  )
}

/** A user's role, and the websites and sections they can see. */
type Access = Pick<User, "role" | "websites" | "sections">

interface AccessFieldsProps extends Access {
  onChange: (access: Access) => void
}

function AccessFields({ role, websites, sections, onChange }: AccessFieldsProps) {
  return (
    <>
      <label class="field">
        Role
        <Select
          value={role}
          options={Object.entries(roleTexts).map(([name, { text }]) => ({ value: name, label: text }))}
          onChange={(value) =>
            onChange(
              value === "owner"
                ? { role: "owner", websites: null, sections: null }
                : { role: "viewer", websites, sections },
            )
          }
        />
      </label>
      {role === "viewer" && (
        <>
          <WebsiteChoice
            websites={websites}
            onChange={(selected) => onChange({ role, websites: selected, sections })}
          />
          <SectionChoice
            sections={sections}
            onChange={(selected) => onChange({ role, websites, sections: selected })}
          />
        </>
      )}
    </>
  )
}

function InviteUser({ onClose, onInvited }: { onClose: () => void; onInvited: (link: CreatedLink) => void }) {
  const { api } = useApp()
  const [email, setEmail] = useState("")
  const [access, setAccess] = useState<Access>({ role: "viewer", websites: null, sections: null })
  return (
    <Dialog title="Invite user" onClose={onClose}>
      <Form
        action="Create link"
        isDisabled={access.websites?.length === 0 || access.sections?.length === 0}
        onCancel={onClose}
        onSubmit={async () => {
          const { invite, user } = await api.send<{ invite: Invite; user: User }>("POST", "users", {
            email,
            ...access,
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
          <small>You will get a one-time link to send to the user.</small>
        </label>
        <AccessFields {...access} onChange={setAccess} />
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
  const [access, setAccess] = useState<Access>(user)
  return (
    <Dialog title={`Edit ${user.email}`} onClose={onClose}>
      <Form
        action="Save changes"
        isDisabled={access.websites?.length === 0 || access.sections?.length === 0}
        onCancel={onClose}
        onSubmit={async () => {
          const { role, websites, sections } = access
          await api.send("PATCH", `users/${encodeURIComponent(user.id)}`, { role, websites, sections })
          toasts.show(`${user.email} updated`)
          onChanged()
          onClose()
        }}
      >
        <AccessFields {...access} onChange={setAccess} />
        <p class="muted">{user.email} will have to log in again.</p>
      </Form>
    </Dialog>
  )
}

function ResetLink({
  user,
  onClose,
  onCreated,
}: {
  user: User
  onClose: () => void
  onCreated: (link: CreatedLink) => void
}) {
  const { api } = useApp()
  return (
    <Confirm
      title={`Create a password reset link for ${user.email}?`}
      action="Create link"
      isHarmless
      onClose={onClose}
      onConfirm={async () => {
        const { invite } = await api.send<{ invite: Invite }>(
          "POST",
          `users/${encodeURIComponent(user.id)}/reset`,
        )
        onCreated({ email: user.email, invite })
      }}
    >
      <p>
        Anyone with the link can set a new password for {user.email}. Until then, the current password keeps
        working. Earlier links will stop working immediately.
      </p>
    </Confirm>
  )
}

function DeleteUser({ user, onClose, onChanged }: ChangeProps) {
  const { api, toasts } = useApp()
  return (
    <Confirm
      title={`Delete ${user.email}?`}
      action="Delete"
      onClose={onClose}
      onConfirm={async () => {
        await api.send("DELETE", `users/${encodeURIComponent(user.id)}`)
        toasts.show(`${user.email} deleted`)
        onChanged()
      }}
    >
      <p>
        They will be logged out immediately and will not be able to log in again. Their API keys, share links,
        annotations and saved views will not be deleted.
      </p>
    </Confirm>
  )
}
