import type { Batch, RowLocator } from "../../columns/batch.ts"
import { idKinds } from "../fields.ts"
import type { Unit } from "../query.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import type { ReportSource } from "./step.ts"

/** The units of a report: visitors, sessions or profiles. */
export interface Units {
  /** One more than the largest dictionary ID of a unit. */
  readonly dictionarySize: number
  /**
   * Returns the dictionary ID of each event's unit, or 0 for an event without a unit. If an event belongs to several
   * profiles, additional arrays contain its other profiles, and 0 for the events that have no other profile.
   */
  idsOf(batch: Batch): readonly Uint32Array[]
}

/** Bytes of a linked anonymous ID. */
const linkBytes = 80

/**
 * Returns the units of a report. Must be called before a matcher is created: links can contain IDs that no event has,
 * and these IDs are added to the dictionary.
 */
export function* unitsOf(
  unit: Unit,
  websites: readonly number[],
  source: ReportSource,
  budget: MemoryBudget,
): Generator<void, Units> {
  if (unit === "profile_id") return yield* profilesWithLinks(websites, source, budget)
  const kind = idKinds[unit]
  return { dictionarySize: source.dictionarySizes[kind], idsOf: (batch) => [batch[kind]()] }
}

/**
 * Returns the texts of units by dictionary ID. `locators` contains the location of an event for each unit. An event of
 * a linked anonymous ID does not contain its profile ID, so the text of that profile ID is taken from the links.
 */
export function* unitTexts(
  unit: Unit,
  locators: readonly RowLocator[],
  websites: readonly number[],
  source: ReportSource,
): Generator<void, ReadonlyMap<number, string>> {
  const kind = idKinds[unit]
  const texts = yield* source.texts(kind, locators)
  if (kind !== "profiles") return texts
  const missing = new Set(locators.map(({ dictionaryId }) => dictionaryId).filter((id) => !texts.has(id)))
  for (const website of missing.size > 0 ? websites : []) {
    for (const chunk of source.linkedVisitors(website)) {
      const linked = [...new Set(chunk.flatMap(([, profileIds]) => profileIds))]
      const ids = source.assignDictionaryIds(kind, linked)
      for (const [index, text] of linked.entries()) {
        const id = ids[index] as number
        if (missing.has(id)) texts.set(id, text)
      }
      yield
    }
  }
  return texts
}

/**
 * The profiles that anonymous IDs are linked to. For each website, maps the dictionary ID of an anonymous ID to the
 * dictionary ID of a profile, or to the dictionary IDs of several profiles. An anonymous ID has the same dictionary ID
 * on all websites, but its links can differ between websites.
 */
type Links = ReadonlyMap<number, ReadonlyMap<number, number | Uint32Array>>

/**
 * Returns profiles as units. They include the events of linked anonymous IDs, as defined in
 * src/store/identity-resolution.ts.
 */
function* profilesWithLinks(
  websites: readonly number[],
  source: ReportSource,
  budget: MemoryBudget,
): Generator<void, Units> {
  const links = new Map<number, Map<number, number | Uint32Array>>()
  for (const website of websites) {
    const linksOfWebsite = new Map<number, number | Uint32Array>()
    for (const chunk of source.linkedVisitors(website)) {
      budget.reserve(chunk.length * linkBytes)
      const visitors = source.assignDictionaryIds(
        "visitors",
        chunk.map(([anonymousId]) => anonymousId),
      )
      const profiles = source.assignDictionaryIds(
        "profiles",
        chunk.flatMap(([, profileIds]) => profileIds),
      )
      let next = 0
      chunk.forEach(([, { length }], index) => {
        const linkedProfiles = profiles.slice(next, next + length)
        next += length
        const visitor = visitors[index] as number
        // Two anonymous IDs can have the same dictionary ID, because the text of one can equal the hash of another.
        const before = linksOfWebsite.get(visitor)
        const all = before === undefined ? linkedProfiles : merged(before, linkedProfiles)
        linksOfWebsite.set(visitor, all.length === 1 ? (all[0] as number) : all)
      })
      yield
    }
    if (linksOfWebsite.size > 0) links.set(website, linksOfWebsite)
  }
  return { dictionarySize: source.dictionarySizes.profiles, idsOf: (batch) => profilesOf(batch, links) }
}

function merged(before: number | Uint32Array, more: Uint32Array): Uint32Array {
  return Uint32Array.from(new Set([...(typeof before === "number" ? [before] : before), ...more]))
}

function profilesOf(batch: Batch, links: Links): Uint32Array[] {
  const ids = batch.profiles()
  const linked = links.get(batch.website)
  if (!linked) return [ids]
  const visitors = batch.visitors()
  const all = [ids.slice()]
  for (let index = 0; index < ids.length; index++) {
    if (ids[index] !== 0) continue
    const profiles = linked.get(visitors[index] as number)
    if (profiles === undefined) continue
    if (typeof profiles === "number") (all[0] as Uint32Array)[index] = profiles
    else {
      profiles.forEach((profile, n) => {
        all[n] ??= new Uint32Array(ids.length)
        ;(all[n] as Uint32Array)[index] = profile
      })
    }
  }
  return all
}
