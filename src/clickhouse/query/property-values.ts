import type { PropertyValues, ValuesQuery, ValuesResult } from "../../query/query.ts"
import { datePattern, numberStatistics } from "../../query/reports/property-counts.ts"
import { sortByValue } from "../../query/structures/statistics.ts"
import type { ReportContext } from "./report.ts"
import { jsonNumber, jsonText, NotSupportedError, utf16Order } from "./scan.ts"
import { surrogateMark, unmarkSurrogates } from "./statement.ts"

/** Maximum total number of distinct numbers in all properties. Each number uses about 100 bytes of memory. */
const maxNumbers = 1_000_000
/**
 * Maximum number of strings in one property that look like dates but must be validated in JavaScript ("unusual dates").
 */
const maxUnusualDates = 100_000

/** Matches dates and times that JavaScript always accepts, so that it does not need to validate them. */
const plainDate =
  "^[1-9][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\\\\.[0-9]+)?)?Z?)?$"
/** Equivalent to `datePattern` in src/query/reports/property-counts.ts, as `anyUrl` is to `urlPattern` there. */
const anyDate =
  "^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\\\\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?$"
/** The characters that JavaScript treats as white space. */
const space =
  "\\\\s\\\\x{0B}\\\\x{A0}\\\\x{1680}\\\\x{2000}-\\\\x{200A}\\\\x{2028}\\\\x{2029}\\\\x{202F}\\\\x{205F}\\\\x{3000}\\\\x{FEFF}"
const anyUrl = `^(?i)https?://[^${space}]+$`

type PropertyRow = [
  name: string,
  key: string,
  occurrences: number,
  cardinality: number,
  numeric: number,
  numericTexts: number,
  boolean: number,
  date: number,
  unusualDates: string[],
  url: number,
  totalLength: number,
  maxLength: number,
]

/** Lists the property keys of each event name, and counts their values. */
export async function values(
  { scope, keys, top, bins }: ValuesQuery,
  { scan: newScan, run }: ReportContext,
): Promise<ValuesResult> {
  const scan = newScan()
  const { entries } = scan
  const isListed = keys ? `where entry.1 in ${scan.bind("Array(String)", keys)}` : ""
  const rows = scan.rows(scope)
  const counted = `
    select name, entry.1 as key, ${jsonText("entry.2")} as text, ${jsonNumber("entry.2", jsonText("entry.2"))} as number, startsWith(entry.2, '"') as isText, count() as times
    from (select toString(name) as name, arrayJoin(${entries}) as entry from ${rows})
    ${isListed}
    group by name, entry`
  const texts = `
    select name, key, assumeNotNull(text) as text, sum(times) as count, max(isNotNull(number)) as isNumber, max(isNotNull(number) and isText) as isNumericText
    from (${counted})
    group by name, key, text`
  const isDate = `match(text, '${plainDate}')`
  const isOther = "not isNumber and text not in ('true', 'false')"
  const length = `lengthUTF8(text) + countMatches(text, '[\\\\x{10000}-\\\\x{10FFFF}]') - 4 * countSubstrings(text, '${surrogateMark}')`
  const isUnusual = `${isOther} and not ${isDate} and match(text, '${anyDate}')`
  const [properties, events, listed, numbers] = await Promise.all([
    run<PropertyRow>(
      scan,
      `select name, key, sum(count), count(), sum(isNumber), sum(isNumericText),
        countIf(not isNumber and text in ('true', 'false')), countIf(${isOther} and ${isDate}),
        groupArrayIf(${maxUnusualDates + 1})(text, ${isUnusual}),
        countIf(${isOther} and match(text, '${anyUrl}')), sum(${length}), max(${length})
      from (${texts})
      group by name, key`,
    ),
    run<[name: string, events: number]>(
      scan,
      `select toString(name) as name, count() from ${rows} group by name`,
    ),
    top === 0
      ? []
      : run<[name: string, key: string, text: string, count: number]>(
          scan,
          `select name, key, text, count from (${texts})
          order by name, key, count desc, ${utf16Order("text")}
          limit ${scan.bind("UInt64", top)} by name, key`,
        ),
    bins === undefined
      ? []
      : run<[name: string, key: string, counts: [number, number][]]>(
          scan,
          `select name, key, groupArray((assumeNotNull(number), total))
          from (
            select name, key, number, sum(times) as total from (${counted})
            where isNotNull(number) group by name, key, number limit ${maxNumbers + 1})
          group by name, key`,
        ),
  ])
  if (numbers.reduce((sum, [, , counts]) => sum + counts.length, 0) > maxNumbers)
    throw new NotSupportedError(`there are more than ${maxNumbers} distinct numbers`)
  const eventsOf = new Map(events)
  const found = new Map(
    properties.map((row) => [idOf(row[0], row[1]), propertyOf(row, eventsOf.get(row[0]) ?? 0)] as const),
  )
  for (const [name, key, text, count] of listed)
    found.get(idOf(name, key))?.top.push({ text: unmarkSurrogates(text), count })
  for (const [name, key, counts] of numbers) {
    const property = found.get(idOf(name, key))
    if (property && bins !== undefined) property.numbers = numberStatistics(sortByValue(counts), bins)
  }
  return { properties: [...found.values()] }
}

function idOf(name: string, key: string): string {
  return `${name.length} ${name}${key}`
}

function propertyOf(row: PropertyRow, events: number): PropertyValues {
  const [
    name,
    key,
    occurrences,
    cardinality,
    numeric,
    numericTexts,
    boolean,
    date,
    unusual,
    url,
    ...lengths
  ] = row
  const [totalLength, maxLength] = lengths
  if (unusual.length > maxUnusualDates)
    throw new NotSupportedError(`the property ${key} has more than ${maxUnusualDates} unusual dates`)
  const isValid = (text: string) => datePattern.test(text) && !Number.isNaN(Date.parse(text))
  return {
    name: unmarkSurrogates(name),
    key: unmarkSurrogates(key),
    events,
    occurrences,
    cardinality,
    numeric,
    numericTexts,
    boolean,
    date: date + unusual.filter(isValid).length,
    url,
    totalLength,
    maxLength,
    top: [],
  }
}
