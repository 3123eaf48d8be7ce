/**
 * The licenses of everything in the binary. Undefined if run from source: the build replaces this module, see
 * src/build.ts.
 */
export async function licenseTexts(): Promise<string | undefined> {
  return undefined
}
