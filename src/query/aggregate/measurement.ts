import type { Batch } from "../../columns/batch.ts"
import type { Selection } from "../structures/selection.ts"

/** The state of one measure for many groups. Groups are numbered from 0. */
export interface Measurement {
  /** Adds a group. */
  grow(): void
  /** Counts events in a group without reading them. Only their name is known. */
  count(group: number, name: string, events: number): void
  /** Adds all selected events to one group. */
  addAll(group: number, batch: Batch, selection: Selection): void
  /** Adds each selected event to its group. `groups` contains one group per selected event. */
  addEach(groups: Uint32Array, batch: Batch, selection: Selection): void
  /** Merges the group `from` of `other`, which must be the same measure, into `group`. */
  merge(group: number, other: Measurement, from: number): void
  /** Reduces memory use. Afterwards, the measurement can only be merged into others or serve as their base. */
  pack(): void
  /** Returns the result for a group. */
  value(group: number): number | null
}
