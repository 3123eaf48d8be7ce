/** Style sheets of single pages; the build puts them into the page's own. */
declare module "*.css"
