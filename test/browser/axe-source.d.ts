/** The source of axe-core as text, which tests run in pages. */
declare module "axe-core/axe.min.js" {
  const source: string
  export default source
}
