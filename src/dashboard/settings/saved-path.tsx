import { safePath } from "../../saved/path.ts"
import { Link } from "../components/controls/link.tsx"
import { pageLabel } from "../components/controls/pages.ts"

interface SavedPathProps {
  /** An id, `none` or `all`. */
  website: string
  /** Page and query, as they are saved. */
  path: string
}

/** Where a saved view or a share link leads. */
export function SavedPath({ website, path }: SavedPathProps) {
  const [page = "", query] = path.split("?", 2)
  return (
    <Link href={`/w/${encodeURIComponent(website)}/${safePath(path)}`}>
      {pageLabel(page)}
      {query !== undefined && <span class="settings-query"> {readable(query)}</span>}
    </Link>
  )
}

/** `period=today&f=eq:path:/` as a person would write it; as it is where somebody broke it. */
function readable(query: string): string {
  return [...new URLSearchParams(query)].map(([name, value]) => `${name}=${value}`).join(" ")
}
