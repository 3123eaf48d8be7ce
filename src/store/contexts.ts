/** Where the page ran. An empty string means unknown. */
export const clientFields = [
  "browser_name",
  "browser_version",
  "os_name",
  /** One of desktop, mobile and tablet. */
  "device_type",
  /** ISO 3166-1 alpha-2, in upper case. */
  "country",
  "region",
  "city",
  /** BCP 47. */
  "language",
  /** IANA name. */
  "timezone",
  /** Width and height in CSS pixels, such as 1920x1080. */
  "screen_resolution",
] as const

export type ClientContext = Readonly<Record<(typeof clientFields)[number], string>>

/** Where the visitor came from. An empty string means unknown. */
export const acquisitionFields = [
  /** URL without its query string and fragment. */
  "referrer",
  /** Host without the www. prefix. */
  "referrer_domain",
  /** One of direct, search, social, mail, ad, internal and other. */
  "referrer_type",
  "utm_source",
  "utm_medium",
  "utm_campaign",
  "utm_term",
  "utm_content",
] as const

export type AcquisitionContext = Readonly<Record<(typeof acquisitionFields)[number], string>>

export type ContextField = (typeof clientFields)[number] | (typeof acquisitionFields)[number]

/** The fields of both contexts, in the order of the `events` view. */
export const contextFields: readonly ContextField[] = [...clientFields, ...acquisitionFields]

/** The known fields of an event's contexts. */
export type KnownContext = Partial<Record<ContextField, string>>

/**
 * Splits a row of the `events` view into the columns that are not context fields, and the context values that are not
 * null.
 */
export function splitContext<Row extends Record<ContextField, string | null>>(
  row: Row,
): { rest: Omit<Row, ContextField>; context: KnownContext } {
  const rest: Partial<Row> = { ...row }
  const context: KnownContext = {}
  for (const field of contextFields) {
    const value = row[field]
    if (value !== null) context[field] = value
    delete rest[field]
  }
  // The type assertion is safe because only the context fields have been deleted from `rest`.
  return { rest: rest as Omit<Row, ContextField>, context }
}
