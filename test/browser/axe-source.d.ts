/** The script of axe-core as text, for pages. */
declare module "axe-core/axe.min.js" {
  const source: string
  export default source
}
