import { useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { isolate } from "../../state/bidi.ts"
import type { Board, BoardSummary, PinnedTile } from "../../state/boards.ts"
import { useResource } from "../../state/resource.ts"
import { Dialog } from "../controls/dialog.tsx"
import { Form } from "../controls/form.tsx"
import { Icon } from "../controls/icons.tsx"
import { NameField } from "../controls/name-dialog.tsx"
import { Select } from "../controls/select.tsx"

interface PinButtonProps {
  /** What can be pinned, such as each number in a group. If this is empty, there is no button. */
  tiles: readonly PinnedTile[]
  /** Accessible name of the group, if there are several tiles. */
  name?: string
}

/**
 * A button that pins a chart, number, table, funnel or cohort table to a board, with the page's filters. Shown only to
 * owners.
 */
export function PinButton({ tiles, name }: PinButtonProps) {
  const { session } = useApp()
  const [isOpen, setOpen] = useState(false)
  const [first] = tiles
  if (!session.isOwner || !first) return null
  const label = `Pin ${name ?? isolate(first.title)} to board`
  return (
    <>
      <button
        type="button"
        class="button small quiet icon-only pin"
        aria-label={label}
        title={label}
        onClick={() => setOpen(true)}
      >
        <Icon name="pin" />
      </button>
      {isOpen && <PinDialog tiles={[first, ...tiles.slice(1)]} onClose={() => setOpen(false)} />}
    </>
  )
}

/** Prefix of the menu values that create a board. A website ID, `none` or `all` follows it. */
const newBoard = "new:"

interface PinDialogProps {
  tiles: readonly [PinnedTile, ...PinnedTile[]]
  onClose: () => void
}

function PinDialog({ tiles, onClose }: PinDialogProps) {
  const { api, router, session, toasts, view } = useApp()
  const { website, filters } = view.value
  const [index, setIndex] = useState(0)
  const tile = tiles[index] ?? tiles[0]
  const [title, setTitle] = useState<string>()
  const [chosen, setChosen] = useState<string>()
  const [name, setName] = useState("")
  const groups = useBoardGroups(website)
  const first = groups.flatMap(({ boards }) => boards)[0]
  const target = chosen ?? first?.id ?? newBoard + website
  const isNew = target.startsWith(newBoard)
  const submit = async () => {
    const place = isNew ? target.slice(newBoard.length) : placeOf(groups, target)
    const { query, ...rest } = tile
    const pinned = {
      ...rest,
      title: title ?? tile.title,
      query: { ...query, filters: [...filters, ...(query.filters ?? [])] },
      // The path has no range, because the board has its own.
      path: router.viewPath({
        period: undefined,
        from: undefined,
        to: undefined,
        tz: undefined,
        compare: undefined,
      }),
      ...(place === "all" && website !== "all" ? { websiteId: website } : {}),
    }
    const { board } = isNew
      ? await api.send<{ board: Board }>("POST", `boards?website_id=${encodeURIComponent(place)}`, {
          name,
          tiles: [pinned],
        })
      : await api.send<{ board: Board }>("POST", `boards/${encodeURIComponent(target)}/tiles`, pinned)
    toasts.show(`“${isolate(pinned.title)}” pinned to “${isolate(board.name)}”`)
    onClose()
  }
  return (
    <Dialog title="Pin to board" onClose={onClose}>
      <Form action="Pin" onCancel={onClose} onSubmit={submit}>
        {tiles.length > 1 && (
          <label class="field">
            Metric
            <Select
              value={String(index)}
              options={tiles.map((option, at) => ({ value: String(at), label: option.title }))}
              onChange={(value) => {
                setIndex(Number(value))
                setTitle(undefined)
              }}
            />
          </label>
        )}
        <NameField label="Title" value={title ?? tile.title} onInput={setTitle} />
        <label class="field">
          Board
          <Select
            value={target}
            options={groups.map(({ place, boards }) => ({
              label: session.nameOf(place),
              options: [
                ...boards.map((board) => ({ value: board.id, label: board.name })),
                { value: newBoard + place, label: "New board…" },
              ],
            }))}
            onChange={setChosen}
          />
        </label>
        {isNew && <NameField label="Name of the new board" value={name} onInput={setName} />}
      </Form>
    </Dialog>
  )
}

interface BoardGroup {
  /** A website ID, `none` or `all`. */
  place: string
  boards: readonly BoardSummary[]
}

/** The boards of a website and, if the user can see them, the boards for all websites. */
function useBoardGroups(website: string): BoardGroup[] {
  const { session } = useApp()
  const places = [website, ...(session.canSeeAll && website !== "all" ? ["all"] : [])]
  const [websiteBoards, allBoards] = [useBoards(website), useBoards(places[1])]
  return places.map((place) => ({ place, boards: (place === website ? websiteBoards : allBoards) ?? [] }))
}

function useBoards(place: string | undefined): BoardSummary[] | undefined {
  const path = place === undefined ? undefined : `boards?website_id=${encodeURIComponent(place)}`
  return useResource<{ boards: BoardSummary[] }>(path).data?.boards
}

function placeOf(groups: readonly BoardGroup[], id: string): string {
  return groups.find(({ boards }) => boards.some((board) => board.id === id))?.place ?? ""
}
