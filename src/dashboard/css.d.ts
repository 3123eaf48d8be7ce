/** Style sheets that are imported by a page or a component. The build bundles them into the dashboard's style sheet. */
declare module "*.css"
