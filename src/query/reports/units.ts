import type { Batch } from "../../columns/batch.ts"
import { idKinds, type Unit } from "../query.ts"
import type { MemoryBudget } from "../structures/id-set.ts"
import type { Followed } from "./step.ts"

/** Those whose events are followed: visitors, sessions or profiles. */
export interface Units {
  /** One more than the largest number of a unit. */
  readonly numbers: number
  /**
   * The number of each event's unit, 0 where it has none. More than one array where an event belongs to several profiles: the others
   * hold those, and 0 for all other events.
   */
  of(batch: Batch): readonly Uint32Array[]
}

/** Bytes that a linked anonymous id takes. */
const linkBytes = 80

/** To be called before any matcher is made: links may bring ids that no event has, and with them new numbers. Yields meanwhile. */
export function* unitsOf(
  unit: Unit,
  websites: readonly number[],
  source: Followed,
  budget: MemoryBudget,
): Generator<void, Units> {
  if (unit === "profile_id") return yield* profilesWithLinks(websites, source, budget)
  const kind = idKinds[unit]
  return { numbers: source.numbers[kind], of: (batch) => [batch[kind]()] }
}

/** By website, number of the anonymous id: a profile's number, or those of several. Ids are the same number on all websites, links are not. */
type Links = ReadonlyMap<number, ReadonlyMap<number, number | Uint32Array>>

/** Profiles, with the events of their linked anonymous ids: the definition is in src/store/person.ts. */
function* profilesWithLinks(
  websites: readonly number[],
  source: Followed,
  budget: MemoryBudget,
): Generator<void, Units> {
  const links = new Map<number, Map<number, number | Uint32Array>>()
  for (const website of websites) {
    const ofWebsite = new Map<number, number | Uint32Array>()
    for (const some of source.linkedVisitors(website)) {
      budget.take(some.length * linkBytes)
      const visitors = source.numberAll(
        "visitors",
        some.map(([anonymousId]) => anonymousId),
      )
      const profiles = source.numberAll(
        "profiles",
        some.flatMap(([, profileIds]) => profileIds),
      )
      let next = 0
      some.forEach(([, { length }], index) => {
        const theirs = profiles.slice(next, next + length)
        next += length
        const visitor = visitors[index] as number
        // An id as it is and the hash of another one may be the same text.
        const before = ofWebsite.get(visitor)
        const all = before === undefined ? theirs : merged(before, theirs)
        ofWebsite.set(visitor, all.length === 1 ? (all[0] as number) : all)
      })
      yield
    }
    if (ofWebsite.size > 0) links.set(website, ofWebsite)
  }
  return { numbers: source.numbers.profiles, of: (batch) => profilesOf(batch, links) }
}

function merged(before: number | Uint32Array, more: Uint32Array): Uint32Array {
  return Uint32Array.from(new Set([...(typeof before === "number" ? [before] : before), ...more]))
}

function profilesOf(batch: Batch, links: Links): Uint32Array[] {
  const named = batch.profiles()
  const linked = links.get(batch.website)
  if (!linked) return [named]
  const visitors = batch.visitors()
  const all = [named.slice()]
  for (let index = 0; index < named.length; index++) {
    if (named[index] !== 0) continue
    const profiles = linked.get(visitors[index] as number)
    if (profiles === undefined) continue
    if (typeof profiles === "number") (all[0] as Uint32Array)[index] = profiles
    else {
      profiles.forEach((profile, place) => {
        all[place] ??= new Uint32Array(named.length)
        ;(all[place] as Uint32Array)[index] = profile
      })
    }
  }
  return all
}
