/** The fields of a query parameter that boards use. */
interface TileParameter {
  name: string
  compare?: unknown
  granularity?: unknown
  [option: string]: unknown
}

/**
 * The parameters of a tile's query, with the comparison and granularity of the page instead of the tile's. Without
 * `compare`, there is no comparison. Without `granularity`, the tile's applies. The position of a parameter is its id.
 * The dashboard and the server share this function.
 */
export function parametersOf(
  parameters: readonly TileParameter[],
  compare: unknown,
  granularity: unknown,
): (TileParameter & { id: string })[] {
  return parameters.map(({ compare: isCompared, granularity: own, ...parameter }, index) => ({
    ...parameter,
    id: String(index),
    ...(isCompared && compare ? { compare } : {}),
    ...(own ? { granularity: granularity ?? own } : {}),
  }))
}
