declare module "*.mmdb" {
  /** Path of the file, or of its embedded copy in a binary. */
  const path: string
  export default path
}
