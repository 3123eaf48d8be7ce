import type { FieldError } from "../errors.ts"
import { type OperatorInfo, operators } from "../query/operators.ts"
import type { Filter, Step } from "../query/query.ts"
import type { FilterBody, StepBody } from "./schema.ts"

/**
 * Parses a step, for example of a funnel. Appends an error to `errors` for each invalid filter, and if the step has
 * both a name and a page. `field` is the path of the step's filters in the request body.
 */
export function readStep(step: string | StepBody, field: string, errors: FieldError[]): Step {
  if (typeof step === "string") return { name: step, filters: [] }
  if (step.name !== undefined && step.page !== undefined) {
    errors.push({ field: field.replace(/\.filters$/, ""), message: "must have a name or a page, not both" })
  }
  return {
    name: step.name,
    page: step.page === undefined ? undefined : storedPage(step.page),
    filters: readFilters(step.filters, field, errors),
  }
}

/**
 * Returns the filters. Appends an error to `errors` for each filter whose value has the wrong type for its operator.
 * `field` is the path of the filters in the request body.
 */
export function readFilters(
  filters: FilterBody[] | undefined,
  field: string,
  errors: FieldError[],
): Filter[] {
  for (const [index, filter] of (filters ?? []).entries()) {
    const message = operandError(filter)
    if (message) errors.push({ field: `${field}.${index}.value`, message })
  }
  return filters ?? []
}

/** Returns an error message if a filter's value has the wrong type for its operator, otherwise undefined. */
function operandError({ op, value }: FilterBody): string | undefined {
  const { expected, isValid } = operandTypes[operators[op].operandType]
  return isValid(value) ? undefined : `must be ${expected} for the operator ${op}`
}

const operandTypes: Record<
  OperatorInfo["operandType"],
  { expected: string; isValid: (value: FilterBody["value"]) => boolean }
> = {
  text: { expected: "one value", isValid: (value) => !Array.isArray(value) },
  number: { expected: "a number", isValid: (value) => typeof value === "number" },
  list: { expected: "a list", isValid: (value) => Array.isArray(value) },
  boolean: { expected: "true or false", isValid: (value) => typeof value === "boolean" },
}

/** Removes the trailing slash of a page, because pages are stored without one. */
function storedPage(page: string): string {
  return page.length > 1 && page.endsWith("/") ? page.slice(0, -1) : page
}
