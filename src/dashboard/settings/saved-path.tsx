import { safePath } from "../../saved/path.ts"
import { Link } from "../components/controls/link.tsx"
import { pageLabel } from "../components/controls/navigation-menu.ts"

interface SavedPathProps {
  /** A website ID, `none` or `all`. */
  website: string
  /** The page and query string, as stored. */
  path: string
}

/** A link to the page that a saved view or share link opens. */
export function SavedPath({ website, path }: SavedPathProps) {
  const [page = "", query] = path.split("?", 2)
  return (
    <Link href={`/w/${encodeURIComponent(website)}/${safePath(path)}`}>
      {pageLabel(page)}
      {query !== undefined && <span class="settings-query"> {readable(query)}</span>}
    </Link>
  )
}

/** Returns the query string in a readable, decoded form, for example `period=today f=eq:path:/`. */
function readable(query: string): string {
  return [...new URLSearchParams(query)].map(([name, value]) => `${name}=${value}`).join(" ")
}
