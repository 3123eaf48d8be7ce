import { useApp } from "../state/app.ts"

/** Rows of a page of a list. */
export const perPage = 50

/** The page of the list that the address names, from 1, and a way to another one. */
export function usePage(): { page: number; onPage: (page: number) => void } {
  const { place } = useApp()
  const page = Math.max(1, Math.floor(Number(place.spot.value.params.get("page")) || 1))
  return { page, onPage: (next) => place.set({ page: next === 1 ? undefined : String(next) }) }
}
