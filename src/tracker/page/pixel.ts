/** `type` of a path's items. */
const types: Record<string, string> = {
  "/batch": "track",
  "/track": "track",
  "/vitals": "web_vitals",
  "/errors": "error",
}

/** Query of the pixel for an item. Objects are JSON; absent values are left out. */
export function pixelQuery(path: string, item: object): URLSearchParams {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries({ type: types[path], ...item })) {
    if (value != null) query.set(name, typeof value === "object" ? JSON.stringify(value) : String(value))
  }
  return query
}

/**
 * Returns a function that sends an item as an image, for pages that allow no other requests. Its result is as in
 * `Network`.
 */
export function start() {
  return (url: string, path: string, item: object, isLeaving: boolean): Promise<number> => {
    const source = `${url}&${pixelQuery(path, item)}`
    // A request for an image ends when its page is left.
    if (isLeaving) return fetch(source, { keepalive: true, credentials: "omit" }).then(({ status }) => status)
    return new Promise((resolve) => {
      const image = new Image()
      // Sends the origin of the page, which the server checks, but no cookies.
      image.crossOrigin = "anonymous"
      image.onload = () => resolve(200)
      image.onerror = () => resolve(0)
      image.src = source
    })
  }
}
