import { Type } from "@sinclair/typebox"
import { type Overlap, overlaps } from "../store/rotation.ts"
import { strict } from "./schema.ts"
import { SchemaCheck, validate } from "./validation.ts"

/** Body of a request that rotates a secret. `expected` completes the error message. */
export const rotationSchema = Type.Object(
  {
    overlap: Type.Optional(
      Type.Union(
        overlaps.map((overlap) => Type.Literal(overlap)),
        {
          description: "How long the current secret keeps working. Default: none",
          expected: `must be one of ${overlaps.join(", ")}`,
        },
      ),
    ),
  },
  strict,
)

const checkRotation = new SchemaCheck(rotationSchema)

/** Returns the overlap that the body requests. Throws `invalid_shape`. */
export function parseRotation(value: unknown): Overlap {
  return validate(checkRotation, value).overlap ?? "none"
}
