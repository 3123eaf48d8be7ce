/** A browser storage: localStorage or sessionStorage. */
export interface StorageArea {
  get: (key: string) => string | null
  set: (key: string, value: string) => void
  remove: (key: string) => void
}

/**
 * Returns access to the browser's storage. Values are kept in memory if storage is blocked or full. `open` returns the
 * storage, or throws if it is blocked.
 */
export function openStorageArea(
  open: () => Pick<Storage, "getItem" | "setItem" | "removeItem">,
): StorageArea {
  const memory = new Map<string, string>()
  const attempt = <Result>(work: (storage: ReturnType<typeof open>) => Result): Result | undefined => {
    try {
      return work(open())
    } catch {
      return undefined
    }
  }
  return {
    get: (key) => attempt((storage) => storage.getItem(key)) ?? memory.get(key) ?? null,
    set: (key, value) => {
      memory.delete(key)
      attempt((storage) => storage.setItem(key, value) ?? true) ?? memory.set(key, value)
    },
    remove: (key) => {
      memory.delete(key)
      attempt((storage) => storage.removeItem(key))
    },
  }
}
