import { pageOf } from "../../../saved/path.ts"
import { useApp } from "../../state/app.ts"
import { isolate } from "../../state/bidi.ts"
import { type Board, titlesOf } from "../../state/boards.ts"
import { chartsOf } from "../../state/embed.ts"
import { useResource } from "../../state/resource.ts"
import { CodeBlock } from "../controls/copy.tsx"
import { Dialog } from "../controls/dialog.tsx"
import { EmbedSnippet } from "./embed-snippet.tsx"

/** A share link, as returned by the API. */
export interface Share {
  id: string
  /** null if the link shows a board for all websites. */
  websiteId: string | null
  name: string
  path: string
  /** The only page that the link opens; null if it opens all reports. */
  page: string | null
  /** The only board that the link opens; null if it opens reports instead. */
  boardId: string | null
  boardName: string | null
  /** False if the link's creator can no longer share the board. */
  isActive: boolean
  /** Origins whose pages can embed the link. */
  embedHosts: string[]
  createdAt: string
  expiresAt: string | null
  lastUsedAt: string | null
  /** When the previous link stops working; null if there is no previous link. */
  previousExpiresAt: string | null
}

/** A new or rotated link. `link` is its path with the token, which no other response contains. */
export interface NewShare {
  share: Share
  link: string
}

/** Describes what a link shows. */
function sharedText({ page, boardName }: Share): string {
  if (boardName !== null) return `the board “${isolate(boardName)}”`
  return page === null ? "the reports" : "one page"
}

/** Shows a new share link and its embed code. Neither can be shown again. */
export function NewLink({ created, onClose }: { created: NewShare; onClose: () => void }) {
  const { router, session } = useApp()
  const { share, link } = created
  const website = session.nameOf(share.websiteId ?? "all")
  const { data } = useResource<{ board: Board }>(
    share.boardId === null ? undefined : `boards/${encodeURIComponent(share.boardId)}`,
  )
  const page = share.page ?? (pageOf(share.path) || "overview")
  return (
    <Dialog title="Copy the link now" onClose={onClose} closeLabel="Done" ignoresBackdrop>
      <div class="prose">
        <p>
          Anyone with this link can see {sharedText(share)} of {website}, but no individual visitors and no
          settings. You won't see it again. You can revoke it in Settings → Share links.
        </p>
      </div>
      <CodeBlock code={router.serverUrl + link} name="Copy link" />
      {share.embedHosts.length > 0 && (
        <>
          <h3>Embed</h3>
          <p class="muted">Paste this into a page on {share.embedHosts.join(", ")}.</p>
          <EmbedSnippet
            link={link}
            charts={share.boardId === null ? chartsOf(page) : titlesOf(data?.board.tiles ?? [])}
            isBoard={share.boardId !== null}
            name={`${share.name} · ${website}`}
          />
        </>
      )}
    </Dialog>
  )
}
