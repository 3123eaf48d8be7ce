declare module "*.mmdb" {
  /** Path of the file; in a binary, of its embedded copy. */
  const path: string
  export default path
}
