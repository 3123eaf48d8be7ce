/**
 * Returns the licenses of everything in the binary. The build replaces this module (see src/build.ts). Here, when run
 * from source, the function returns undefined.
 */
export async function licenseTexts(): Promise<string | undefined> {
  return undefined
}
