/** Style sheets imported by a single page. The build bundles them into the dashboard's style sheet. */
declare module "*.css"
