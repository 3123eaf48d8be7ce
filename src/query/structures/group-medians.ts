import { copyInto } from "../../columns/typed-arrays.ts"
import type { MemoryBudget } from "./memory-budget.ts"
import { quickselect } from "./quickselect.ts"

/** Computes the median of the numbers in each group, by nearest rank. Takes 12 bytes per number. */
export class GroupMedians {
  groups = new Uint32Array(1_024)
  values = new Float64Array(1_024)
  count = 0

  constructor(private readonly budget: MemoryBudget) {}

  add(group: number, value: number): void {
    if (this.count === this.values.length) {
      this.budget.reserve(this.count * 12)
      this.groups = copyInto(new Uint32Array(this.count * 2), this.groups)
      this.values = copyInto(new Float64Array(this.count * 2), this.values)
    }
    this.groups[this.count] = group
    this.values[this.count++] = value
  }

  /** Returns the median of each group, or null for a group without numbers. */
  medians(groups: number): (number | null)[] {
    const next = new Uint32Array(groups + 1)
    for (let index = 0; index < this.count; index++) {
      const group = (this.groups[index] as number) + 1
      next[group] = (next[group] as number) + 1
    }
    for (let group = 1; group <= groups; group++)
      next[group] = (next[group] as number) + (next[group - 1] as number)
    const sorted = new Float64Array(this.count)
    const starts = next.slice()
    for (let index = 0; index < this.count; index++) {
      const group = this.groups[index] as number
      const at = next[group] as number
      next[group] = at + 1
      sorted[at] = this.values[index] as number
    }
    return Array.from({ length: groups }, (_, group) => {
      const [first, end] = [starts[group] as number, starts[group + 1] as number]
      return first === end ? null : quickselect(sorted, first + Math.ceil((end - first) / 2) - 1, first, end)
    })
  }
}
