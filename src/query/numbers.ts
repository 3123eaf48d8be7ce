/** Numbers and how often each is there, each once. */
export type Repeated = readonly (readonly [value: number, times: number])[]

export function totalOf(counted: Repeated): number {
  let total = 0
  for (const [, times] of counted) total += times
  return total
}

/** With what a plain sum loses added up beside it (Neumaier), so that the order of the values makes no difference that shows. */
export function sumOf(counted: Repeated): number {
  let sum = 0
  let lost = 0
  for (const [value, times] of counted) {
    const term = value * times
    const next = sum + term
    lost += Math.abs(sum) >= Math.abs(term) ? sum - next + term : term - next + sum
    sum = next
  }
  return sum + lost
}

export function ascending(counted: Repeated): Repeated {
  return [...counted].sort(([one], [other]) => one - other)
}

/** The value that at least `share` of all are not above, by nearest rank; of some in ascending order. */
export function valueAtShare(sorted: Repeated, share: number): number {
  const rank = Math.max(1, Math.ceil(share * totalOf(sorted)))
  let seen = 0
  for (const [value, times] of sorted) {
    seen += times
    if (seen >= rank) return value
  }
  return Number.NaN
}
