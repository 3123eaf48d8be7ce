import { useEffect, useState } from "preact/hooks"
import { boardColumns } from "../../boards/layout.ts"
import { messageOf } from "../../errors.ts"
import { GranularitySwitch } from "../components/controls/granularity.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { ItemMenu } from "../components/controls/item-menu.tsx"
import { Link } from "../components/controls/link.tsx"
import { Page } from "../components/layout/page.tsx"
import { Empty, Failure, Skeleton } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { type BoardTile, titlesOf } from "../state/boards.ts"
import { ArrangeGrid } from "./arrange.tsx"
import { BoardGrid } from "./board-grid.tsx"
import { BoardMenu } from "./board-menu.tsx"
import { type LoadedBoard, placeIn, useBoard } from "./use-board.ts"
import { Wallboard } from "./wallboard.tsx"

/** px. Enough for a screen full of tiles. */
const skeletonHeight = 600

/** The board with this ID, or its wallboard. */
export function BoardPage({ id }: { id: string }) {
  const { router, view } = useApp()
  const loaded = useBoard(id)
  const { board } = loaded
  const isWallboard = router.location.value.params.get("mode") === "wallboard"
  const place = board && placeIn(board)
  useEffect(() => {
    // Switches to the board's website, so that the board's queries and the links of the navigation use it.
    if (place !== undefined && place !== view.value.website)
      router.navigate(router.savedHref(router.viewPath(), place), "replace")
  }, [place])
  return isWallboard ? <Wallboard loaded={loaded} /> : <ArrangeablePage loaded={loaded} />
}

function ArrangeablePage({ loaded }: { loaded: LoadedBoard }) {
  const { router, session, toasts } = useApp()
  const [draft, setDraft] = useState<BoardTile[]>()
  const { board, change } = loaded
  const save = async () => {
    if (!draft) return
    try {
      await change({ tiles: draft })
      toasts.show("Layout saved")
      setDraft(undefined)
    } catch (error) {
      toasts.show(messageOf(error), "failed")
    }
  }
  return (
    <Page
      title={board?.name ?? "Board"}
      unfiltered={session.sharedBoard !== undefined}
      charts={board ? titlesOf(board.tiles) : null}
      actions={
        draft ? (
          <>
            <button type="button" class="button primary" onClick={() => void save()}>
              Save layout
            </button>
            <button type="button" class="button" onClick={() => setDraft(undefined)}>
              Cancel
            </button>
          </>
        ) : (
          <>
            <GranularitySwitch />
            {session.isOwner && (
              <button
                type="button"
                class="button board-arrange"
                disabled={!board?.tiles.length}
                onClick={() => setDraft(board?.tiles)}
              >
                <Icon name="move" /> Arrange
              </button>
            )}
            <button
              type="button"
              class="button"
              onClick={() => {
                // If the browser denies full screen, the wallboard fills the window.
                document.documentElement.requestFullscreen?.().catch(() => {})
                router.setParams({ mode: "wallboard" })
              }}
            >
              <Icon name="screen" /> Wallboard
            </button>
            {session.isOwner && board && (
              <BoardMenu
                board={{ ...board, tiles: board.tiles.length }}
                onRenamed={loaded.refetch}
                onDeleted={() => router.navigate(router.pageHref("boards"))}
              />
            )}
          </>
        )
      }
    >
      <Content loaded={loaded} draft={draft} onDraft={setDraft} />
    </Page>
  )
}

interface ContentProps {
  loaded: LoadedBoard
  draft: BoardTile[] | undefined
  onDraft: (tiles: BoardTile[]) => void
}

function Content({ loaded, draft, onDraft }: ContentProps) {
  const { router, session, embed } = useApp()
  const { board, error, refetch } = loaded
  if (error) return <Failure error={error} onRetry={refetch} />
  if (!board) return <Skeleton height={skeletonHeight} />
  if (board.tiles.length === 0) {
    return (
      <section class="panel" aria-label="Tiles">
        <Empty title="No tiles yet">
          {session.sharedBoard !== undefined ? null : session.isOwner ? (
            <>
              Open a report and press <Icon name="pin" /> on any chart, number or table.{" "}
              <Link href={router.pageHref("")}>Open reports</Link>
            </>
          ) : (
            "Owners can pin charts, numbers and tables to this board."
          )}
        </Empty>
      </section>
    )
  }
  if (draft) return <ArrangeGrid tiles={draft} website={placeIn(board)} onChange={onDraft} />
  return (
    <BoardGrid
      tiles={embed?.chart === undefined ? board.tiles : aloneOf(board.tiles, embed.chart)}
      website={placeIn(board)}
      isLinked={session.sharedBoard === undefined}
      {...(session.isOwner
        ? { actionsOf: (tile) => <TileMenu tile={tile} tiles={board.tiles} change={loaded.change} /> }
        : {})}
    />
  )
}

/** Returns only the embedded tile, placed so that it fills its frame. */
function aloneOf(tiles: readonly BoardTile[], id: string): BoardTile[] {
  return tiles.filter((tile) => tile.id === id).map((tile) => ({ ...tile, x: 0, y: 0, width: boardColumns }))
}

interface TileMenuProps {
  tile: BoardTile
  tiles: readonly BoardTile[]
  change: LoadedBoard["change"]
}

/** Actions on a tile: rename, remove. */
function TileMenu({ tile: { id, title }, tiles, change }: TileMenuProps) {
  const { toasts } = useApp()
  return (
    <ItemMenu
      name={title}
      isQuiet
      removal="Remove"
      consequence="It will be removed from this board for all users. Its report will not be deleted."
      onRename={async (name) => {
        await change({ tiles: tiles.map((one) => (one.id === id ? { ...one, title: name } : one)) })
      }}
      onRemove={async () => {
        await change({ tiles: tiles.filter((one) => one.id !== id) })
        toasts.show(`“${title}” removed`)
      }}
    />
  )
}
