import { Icon } from "./icons.tsx"
import { useFormat } from "./use-format.ts"

interface PagerProps {
  /** From 1. */
  page: number
  /** Rows of a page. */
  size: number
  /** Rows of all pages. */
  total: number
  onPage: (page: number) => void
}

/** Which rows of how many there are, and a way to the others. */
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
            aria-label="The rows before"
            aria-disabled={page <= 1}
            onClick={() => page > 1 && onPage(page - 1)}
          >
            <Icon name="left" />
          </button>
          <button
            type="button"
            class="button small icon-only"
            aria-label="The rows after"
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
