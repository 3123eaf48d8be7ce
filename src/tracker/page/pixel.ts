/** The `type` of the items sent to each path. */
const types: Record<string, string> = {
  "/batch": "track",
  "/track": "track",
  "/vitals": "web_vitals",
  "/errors": "error",
}

/**
 * Returns the query parameters of the pixel request that sends an item. Objects are sent as JSON. Absent values are
 * left out.
 */
export function pixelQuery(path: string, item: object): URLSearchParams {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries({ type: types[path], ...item })) {
    if (value != null) query.set(name, typeof value === "object" ? JSON.stringify(value) : String(value))
  }
  return query
}

/**
 * Returns a function that sends an item as an image, for pages that allow no other requests. The returned function is
 * used as `Network.pixel`.
 */
export function start() {
  return (url: string, path: string, item: object, isLeaving: boolean): Promise<number> => {
    const source = `${url}&${pixelQuery(path, item)}`
    // The browser cancels image requests when the visitor leaves the page.
    if (isLeaving) return fetch(source, { keepalive: true, credentials: "omit" }).then(({ status }) => status)
    return new Promise((resolve) => {
      const image = new Image()
      // Makes the browser send the request without cookies, and with the page's origin, which the server checks.
      image.crossOrigin = "anonymous"
      image.onload = () => resolve(200)
      image.onerror = () => resolve(0)
      image.src = source
    })
  }
}
