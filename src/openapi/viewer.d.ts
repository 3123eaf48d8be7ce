// The package declares no types for its browser bundle. An import with `type: "file"` gives the path of the
// bundle.
declare module "openapi-explorer/dist/browser/openapi-explorer.min.js" {
  const path: string
  export default path
}
