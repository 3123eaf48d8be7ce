/** A parameter of a tile's query. Only the listed fields matter here. */
interface TileParameter {
  name: string
  compare?: unknown
  granularity?: unknown
  [option: string]: unknown
}

/**
 * Returns the parameters of a tile's query, with the comparison and granularity that are chosen on the board page. They
 * apply only to parameters that have a comparison or granularity themselves. If `compare` is undefined, there is no
 * comparison. If `granularity` is undefined, the tile's own granularity applies. The id of a parameter is its index.
 * Used by the dashboard and the server.
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
