/** A parameter of a query, as far as boards know it. */
interface TileParameter {
  name: string
  compare?: unknown
  granularity?: unknown
  [option: string]: unknown
}

/**
 * The parameters of a tile for a page, with its comparison and granularity where the tile has any; undefined: no comparison, and the
 * granularity of the tile. Their ids are their positions. The dashboard and the server use the same function.
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
