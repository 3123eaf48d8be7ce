/**
 * Removes the prefix `basePath`, such as /stats, from a path once. A path that does not start with the prefix is
 * returned unchanged, because a proxy has already removed the prefix. An empty `basePath` changes nothing.
 */
export function withoutBasePath(path: string, basePath: string): string {
  if (basePath === "" || !path.startsWith(basePath)) return path
  const rest = path.slice(basePath.length)
  if (rest === "" || rest.startsWith("?")) return `/${rest}`
  return rest.startsWith("/") ? rest : path
}

/**
 * Removes `basePath` from the URL of a request. Changes the request itself instead of returning a copy, because Bun
 * cannot find the connection that belongs to a copy.
 */
export function removeBasePath(request: Request, basePath: string): void {
  const { url } = request
  // If the Host header is missing or invalid, the URL is only a path. Otherwise, the path starts after `http://` or
  // `https://` and the host.
  const start = url.startsWith("/") ? 0 : url.indexOf("/", 8)
  if (start < 0 || !url.startsWith(basePath, start)) return
  Object.defineProperty(request, "url", {
    value: url.slice(0, start) + withoutBasePath(url.slice(start), basePath),
  })
}
