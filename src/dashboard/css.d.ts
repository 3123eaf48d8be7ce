/** Style sheets that a single page imports; the build bundles them into the style sheet of the dashboard. */
declare module "*.css"
