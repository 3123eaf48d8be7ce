import { Icon } from "./icons.tsx"
import { useFormat } from "./use-format.ts"

interface PagerProps {
  /** Page number, starting at 1. */
  page: number
  /** Number of rows per page. */
  size: number
  /** Number of rows on all pages. */
  total: number
  onPage: (page: number) => void
}

/** Shows which rows are displayed and moves between pages. */
export function Pager({ page, size, total, onPage }: PagerProps) {
  const format = useFormat()
  const first = (page - 1) * size + 1
  const last = Math.min(total, page * size)
  return (
    <div class="pager">
      <span role="status">
        {format.count(first)} – {format.count(last)} of {format.count(total)}
      </span>
      {total > size && (
        <>
          <button
            type="button"
            class="button small icon-only"
            aria-label="Previous page"
            aria-disabled={page <= 1}
            onClick={() => page > 1 && onPage(page - 1)}
          >
            <Icon name="left" />
          </button>
          <button
            type="button"
            class="button small icon-only"
            aria-label="Next page"
            aria-disabled={last >= total}
            onClick={() => last < total && onPage(page + 1)}
          >
            <Icon name="right" />
          </button>
        </>
      )}
    </div>
  )
}
