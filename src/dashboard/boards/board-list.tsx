import { useState } from "preact/hooks"
import { DataTable } from "../components/charts/data-table.tsx"
import { LastSeen } from "../components/charts/row-table.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { Link } from "../components/controls/link.tsx"
import { NameDialog } from "../components/controls/name-dialog.tsx"
import { Page } from "../components/layout/page.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { Empty, Failure, Skeleton } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import type { Board, BoardSummary } from "../state/boards.ts"
import { type Resource, useResource } from "../state/resource.ts"
import { BoardMenu } from "./board-menu.tsx"

/** px */
const skeletonHeight = 400

/** The boards of the website, followed by the boards for all websites. */
export function BoardList() {
  const { session, view } = useApp()
  const { website } = view.value
  const boards = useResource<BoardsResponse>(listPath(website))
  const hasAll = session.canSeeAll && website !== "all"
  const all = useResource<BoardsResponse>(hasAll ? listPath("all") : undefined)
  return (
    <Page title="Boards" unranged unfiltered>
      {boards.isLoading || all.isLoading ? (
        // Both lists share one skeleton. With two skeletons, the second list would move when the first list loads.
        <Skeleton height={skeletonHeight} />
      ) : (
        <>
          <Boards place={website} list={boards} />
          {hasAll && <Boards place="all" list={all} />}
        </>
      )}
    </Page>
  )
}

interface BoardsResponse {
  boards: BoardSummary[]
}

function listPath(place: string): string {
  return `boards?website_id=${encodeURIComponent(place)}`
}

interface BoardsProps {
  /** A website ID, `none` or `all`. */
  place: string
  list: Resource<BoardsResponse>
}

function Boards({ place, list: { data, error, refetch } }: BoardsProps) {
  const { api, router, session } = useApp()
  const [isOpen, setOpen] = useState(false)
  const hrefOf = (id: string) => router.savedHref(`boards?id=${encodeURIComponent(id)}`, place)
  return (
    <Panel
      title={session.nameOf(place)}
      hint={
        place === "all" ? "Boards across websites. Each tile can show one website or all of them." : undefined
      }
      actions={
        session.isOwner && (
          <button type="button" class="button small" onClick={() => setOpen(true)}>
            <Icon name="plus" /> New board
          </button>
        )
      }
    >
      {isOpen && (
        <NameDialog
          title={place === "all" ? "New board for all websites" : "New board"}
          action="Create"
          onClose={() => setOpen(false)}
          onSubmit={async (name) => {
            const { board } = await api.send<{ board: Board }>("POST", listPath(place), { name })
            router.navigate(hrefOf(board.id))
          }}
        />
      )}
      {!data ? (
        <Failure error={error} onRetry={refetch} />
      ) : data.boards.length === 0 ? (
        <Empty title="No boards">
          Pin charts, numbers and tables to a board to see them on one page or a wallboard.
        </Empty>
      ) : (
        <DataTable
          name={`Boards: ${session.nameOf(place)}`}
          columns={[
            "Board",
            "Tiles",
            "Changed",
            ...(session.isOwner ? [<span class="hidden">Actions</span>] : []),
          ]}
          numeric={[false, true, true, true]}
          keys={data.boards.map(({ id }) => id)}
          rows={data.boards.map((board) => [
            <Link key="name" href={hrefOf(board.id)}>
              {board.name}
            </Link>,
            board.tiles,
            <LastSeen key="changed" time={board.updatedAt} />,
            ...(session.isOwner
              ? [<BoardMenu key="menu" board={board} onRenamed={refetch} onDeleted={refetch} />]
              : []),
          ])}
        />
      )}
    </Panel>
  )
}
