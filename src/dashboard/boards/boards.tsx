import { useApp } from "../state/app.ts"
import { BoardList } from "./board-list.tsx"
import { BoardPage } from "./board-page.tsx"

/** The board named in the URL, or the list of boards. A share link to a board opens only that board. */
export function Boards() {
  const { router, session } = useApp()
  const id = session.sharedBoard ?? router.location.value.params.get("id")
  return id === null || id === "" ? <BoardList /> : <BoardPage key={id} id={id} />
}
