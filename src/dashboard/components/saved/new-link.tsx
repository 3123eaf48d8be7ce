import { pageOf } from "../../../saved/path.ts"
import { useApp } from "../../state/app.ts"
import { CodeBlock } from "../controls/copy.tsx"
import { Dialog } from "../controls/dialog.tsx"
import { EmbedSnippet } from "./embed-snippet.tsx"

/** A share link in the API. */
export interface Share {
  id: string
  websiteId: string
  name: string
  path: string
  /** The only page that it opens; null: all reports. */
  page: string | null
  /** Origins whose pages can embed it. */
  embedHosts: string[]
  createdAt: string
  expiresAt: string | null
  lastUsedAt: string | null
  /** Until then, the link from before the last rotation works too. */
  previousExpiresAt: string | null
}

/** A created or rotated link. No other response contains the path with its token. */
export interface NewShare {
  share: Share
  link: string
}

/** Shows a share link and the code to embed it, once. */
export function NewLink({ created, onClose }: { created: NewShare; onClose: () => void }) {
  const { router, session } = useApp()
  const { share, link } = created
  const website = session.nameOf(share.websiteId)
  return (
    <Dialog title="Copy the link now" onClose={onClose} closeLabel="Done" ignoresBackdrop>
      <div class="prose">
        <p>
          Anyone with this link can see {share.page === null ? "the reports" : "one page"} of {website}, but
          no individual visitors and no settings. You won't see it again. Revoke it in Settings → Share links.
        </p>
      </div>
      <CodeBlock code={router.serverUrl + link} name="Copy link" />
      {share.embedHosts.length > 0 && (
        <>
          <h3>Embed</h3>
          <p class="muted">Paste this into a page of {share.embedHosts.join(", ")}.</p>
          <EmbedSnippet
            link={link}
            page={share.page ?? (pageOf(share.path) || "overview")}
            name={`${share.name} · ${website}`}
          />
        </>
      )}
    </Dialog>
  )
}
