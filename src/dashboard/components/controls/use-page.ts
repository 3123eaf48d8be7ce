import { useApp } from "../../state/app.ts"

/** The page number in the URL, from 1, and a function to change it. */
export function usePage(how: "push" | "replace" = "push"): { page: number; onPage: (page: number) => void } {
  const { router } = useApp()
  const page = Math.max(1, Math.floor(Number(router.location.value.params.get("page")) || 1))
  return { page, onPage: (next) => router.setParams({ page: next === 1 ? undefined : String(next) }, how) }
}
