/**
 * Returns the licenses of everything in the binary, or undefined when running from source. The build replaces this
 * module (see src/build.ts).
 */
export async function licenseTexts(): Promise<string | undefined> {
  return undefined
}
