/** How many requests each route has answered, by status. Counts alone: this is on the way of every event. */
export class Requests {
  readonly #counts = new Map<string, Map<number, number>>()

  /** `route`: its method and pattern, `GET /v1/keys/:id`; never a path as it was sent, of which there is no end. */
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
