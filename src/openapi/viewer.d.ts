// The package declares no types for its browser bundle. Imported with `type: "file"`, it is the path to it.
declare module "openapi-explorer/dist/browser/openapi-explorer.min.js" {
  const path: string
  export default path
}
