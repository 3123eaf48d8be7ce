/** Counts requests by route and status. It only increments counters, because every request passes through it. */
export class RequestCounts {
  readonly #counts = new Map<string, Map<number, number>>()

  /**
   * `route`: method and pattern, such as `GET /v1/keys/:id`. It is never a raw path, because the number of paths is
   * unlimited.
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
