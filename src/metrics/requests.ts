/** Counts requests by route and status. Does nothing more than that, because it runs for every request. */
export class RequestCounts {
  readonly #counts = new Map<string, Map<number, number>>()

  /**
   * Counts a request. `route`: method and pattern, such as `GET /v1/keys/:id`. It must not be a raw path, because
   * clients can send any number of paths.
   */
  add(route: string, status: number): void {
    let statuses = this.#counts.get(route)
    if (!statuses) {
      statuses = new Map()
      this.#counts.set(route, statuses)
    }
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }

  counts(): ReadonlyMap<string, ReadonlyMap<number, number>> {
    return this.#counts
  }
}
