/**
 * Returns the licenses of everything in the binary. The build replaces this module (see src/build.ts), so it returns
 * undefined when run from source.
 */
export async function licenseTexts(): Promise<string | undefined> {
  return undefined
}
