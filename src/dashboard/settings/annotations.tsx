import { useState } from "preact/hooks"
import { Confirm } from "../components/controls/dialog.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { AnnotationForm } from "../components/saved/annotation-form.tsx"
import { type Annotation, comparisonLabel, comparisonParams } from "../state/annotations.ts"
import { useApp } from "../state/app.ts"
import { isolate } from "../state/bidi.ts"
import { useResource } from "../state/resource.ts"
import { List, Row } from "./list.tsx"
import { SettingsPage } from "./settings-page.tsx"
import { useWebsiteFilter, WebsiteFilter } from "./website-filter.tsx"

type DialogState = { name: "create" } | { name: "edit" | "delete"; annotation: Annotation }

/**
 * A link to the start page of an annotation's website, which then compares the days before and after the annotation.
 * Renders nothing if the annotation's date is in the future.
 */
function Comparison({
  annotation: { date, text, websiteId },
  website,
}: {
  annotation: Annotation
  website: string
}) {
  const { router, view } = useApp()
  const params = comparisonParams(date, view.value.today)
  return (
    params && (
      <Link
        class="button small"
        href={router.startHref(websiteId ?? website, params)}
        label={`${comparisonLabel} ${isolate(text)}`}
      >
        {comparisonLabel}
      </Link>
    )
  )
}

export function Annotations() {
  const { api, session, toasts } = useApp()
  const format = useFormat()
  const website = useWebsiteFilter()
  const annotations = useResource<{ notes: Annotation[] }>(`notes?website_id=${encodeURIComponent(website)}`)
  const [dialog, setDialog] = useState<DialogState>()
  const close = () => {
    setDialog(undefined)
    // Refetches even if the user cancels, because another user might have changed the annotations in the meantime.
    annotations.refetch()
  }
  const create = (
    <button type="button" class="button primary" onClick={() => setDialog({ name: "create" })}>
      <Icon name="plus" /> Add annotation
    </button>
  )
  const row = (annotation: Annotation) => (
    <Row
      key={annotation.id}
      title={annotation.text}
      badge={
        <>
          <span class="muted">{format.day(annotation.date)}</span>
          {annotation.websiteId === null && website !== "all" && <span class="badge">All websites</span>}
        </>
      }
      actions={
        <>
          <Comparison annotation={annotation} website={website} />
          <button
            type="button"
            class="button small"
            aria-label={`Edit ${annotation.text}`}
            onClick={() => setDialog({ name: "edit", annotation })}
          >
            Edit
          </button>
          <button
            type="button"
            class="button small"
            aria-label={`Delete ${annotation.text}`}
            onClick={() => setDialog({ name: "delete", annotation })}
          >
            Delete
          </button>
        </>
      }
    />
  )
  return (
    <SettingsPage name="notes" title="Annotations" actions={create}>
      <Panel
        title="Chart annotations"
        hint="Mark a release, a campaign or an outage. Annotations for all websites appear on the charts of each website."
        actions={<WebsiteFilter website={website} />}
      >
        <List
          name="Annotations"
          resource={annotations}
          empty={<Empty title="No annotations">Add one to show it on the charts.</Empty>}
          rows={({ notes }) => notes.map(row)}
        />
      </Panel>
      {dialog?.name === "create" && (
        <AnnotationForm website={website} websiteName={session.nameOf(website)} onClose={close} />
      )}
      {dialog?.name === "edit" && (
        <AnnotationForm annotation={dialog.annotation} website={website} onClose={close} />
      )}
      {dialog?.name === "delete" && (
        <Confirm
          title="Delete annotation?"
          action="Delete"
          onClose={close}
          onConfirm={async () => {
            await api.send("DELETE", `notes/${encodeURIComponent(dialog.annotation.id)}`)
            toasts.show("Annotation deleted")
          }}
        >
          <p>
            “{dialog.annotation.text}”, {format.day(dialog.annotation.date)}. It will be removed from the
            charts for all users.
          </p>
        </Confirm>
      )}
    </SettingsPage>
  )
}
