// The package has no type declarations for its browser bundle. Importing it with `type: "file"` returns the path of the
// bundle.
declare module "openapi-explorer/dist/browser/openapi-explorer.min.js" {
  const path: string
  export default path
}
