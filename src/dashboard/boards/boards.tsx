import { useApp } from "../state/app.ts"
import { BoardList } from "./board-list.tsx"
import { BoardPage } from "./board-page.tsx"

/** The board that the URL names, or the list of boards. */
export function Boards() {
  const { router } = useApp()
  const id = router.location.value.params.get("id")
  return id === null || id === "" ? <BoardList /> : <BoardPage key={id} id={id} />
}
