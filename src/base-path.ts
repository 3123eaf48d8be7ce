/**
 * Removes `basePath`, such as /stats, from the beginning of a path, once. A path that does not begin with it is unchanged: a proxy
 * has removed it already. `basePath` '' changes nothing.
 */
export function withoutBasePath(path: string, basePath: string): string {
  if (basePath === "" || !path.startsWith(basePath)) return path
  const rest = path.slice(basePath.length)
  if (rest === "" || rest.startsWith("?")) return `/${rest}`
  return rest.startsWith("/") ? rest : path
}

/**
 * Removes `basePath` from the URL of a request. It stays the same object, because Bun knows the connection of this one only.
 */
export function removeBasePath(request: Request, basePath: string): void {
  const { url } = request
  // Without a valid Host header, the URL is only a path. The path of another one starts after `http://` or `https://` and the host.
  const start = url.startsWith("/") ? 0 : url.indexOf("/", 8)
  if (start < 0 || !url.startsWith(basePath, start)) return
  Object.defineProperty(request, "url", {
    value: url.slice(0, start) + withoutBasePath(url.slice(start), basePath),
  })
}
