import { eventLine } from "../export/lines.ts"
import type { TextLine } from "../import/lines.ts"
import type { Cluster } from "./cluster.ts"
import { eventOf, selectedColumns } from "./event-row.ts"
import { readWebsiteLines } from "./writers.ts"

/**
 * Ids per query: the cluster sorts their events in memory. The index on ids finds them without reading everything,
 * because ids follow the time of receipt.
 */
const idsPerQuery = 200_000

/** Reads the ids of all later events, so it is only used after a gap. */
const nextId = "select minOrNull(id) from events where id > {after:UInt64}"

/**
 * Yields what `writer` shipped as lines of an export: its websites, then all events in the order of their ids. Leaves
 * out events that still have to be deleted in the cluster, because they would come back.
 */
export async function* linesOfCluster(
  cluster: Cluster,
  writer: string,
  isDeleted: (id: number) => boolean,
): AsyncGenerator<TextLine[]> {
  let number = 0
  const lineOf = (text: string): TextLine => ({ number: ++number, text })
  yield (await readWebsiteLines(cluster, writer)).map(lineOf)
  const events = `
    select ${selectedColumns} from events final
    where id > {after:UInt64} and id <= {last:UInt64}
    order by id`
  for (let after = 0; ; ) {
    const last = after + idsPerQuery
    let isEmpty = true
    for await (const rows of cluster.rows(events, { after, last })) {
      isEmpty = false
      const remaining = rows.map(eventOf).filter(({ id }) => !isDeleted(id))
      yield remaining.map((event) => lineOf(eventLine(event)))
    }
    after = last
    if (!isEmpty) continue
    const [[next] = [null]] = await cluster.all<[number | null]>(nextId, { after })
    if (next === null) return
    after = next - 1
  }
}
