/** One of the errors in test/browser/page-quality.ts, as it appears in the URL. */
export const cartError = JSON.stringify([
  "TypeError: cart.items is undefined",
  "https://localhost/assets/cart.js",
  "214",
])

/**
 * Every dashboard page: its path, with SITE and BOARD for the IDs of the website and of a board, and text that is
 * visible once the page has loaded.
 */
export const pages: { name: string; path: string; ready: string }[] = [
  { name: "web", path: "/w/SITE/web", ready: "google.com" },
  { name: "overview", path: "/w/SITE/overview", ready: "page_viewed" },
  { name: "all-websites", path: "/w/all/overview", ready: "Visitors by website" },
  { name: "boards", path: "/w/SITE/boards", ready: "Growth" },
  { name: "board", path: "/w/SITE/boards?id=BOARD", ready: "Return visits" },
  { name: "wallboard", path: "/w/SITE/boards?id=BOARD&mode=wallboard", ready: "Return visits" },
  { name: "events", path: "/w/SITE/events?f=exists:property.plan:true", ready: "order_paid" },
  { name: "event", path: "/w/SITE/event?name=order_paid&split=property.plan", ready: "coupon" },
  // At some hours of the day, none of the newest events are custom events.
  { name: "live", path: "/w/SITE/live?kind=custom", ready: "page_viewed" },
  {
    name: "funnels",
    path: "/w/SITE/funnels?step=page_viewed&step=product_viewed&step=cart_filled&step=order_paid",
    ready: "order_paid",
  },
  { name: "retention", path: "/w/SITE/retention?step=page_viewed", ready: "visitors" },
  { name: "paths", path: "/w/SITE/paths?step=product_viewed", ready: "search_used" },
  { name: "goals", path: "/w/SITE/goals?step=order_paid", ready: "order_paid" },
  { name: "errors", path: "/w/SITE/errors", ready: "cart.items" },
  {
    name: "error",
    path: `/w/SITE/errors?error=${encodeURIComponent(cartError)}`,
    ready: "at render",
  },
  { name: "vitals", path: "/w/SITE/vitals", ready: "/checkout" },
  { name: "engagement", path: "/w/SITE/engagement", ready: "Top field" },
  { name: "rejected-requests", path: "/w/SITE/refusals", ready: "No rejected requests" },
  { name: "people", path: "/w/SITE/people", ready: "visitor-" },
  {
    name: "people-of-step",
    path: "/w/SITE/people?of=dropped~1&step=page_viewed&step=order_paid",
    ready: "dropped off after step 1",
  },
  { name: "profiles", path: "/w/SITE/people?tab=profiles", ready: "Profile" },
  { name: "person", path: "/w/SITE/person?visitor=visitor-0", ready: "visitor-0" },
  { name: "install", path: "/w/SITE/install", ready: "Receiving events" },
  { name: "settings-account", path: "/settings/account", ready: "Change password" },
  { name: "settings-websites", path: "/settings/websites", ready: "Setup instructions" },
  { name: "settings-keys", path: "/settings/keys", ready: "first key" },
  { name: "settings-users", path: "/settings/users", ready: "Last login" },
  { name: "settings-shares", path: "/settings/shares", ready: "No share links" },
  { name: "settings-notes", path: "/settings/notes", ready: "No annotations" },
  { name: "settings-views", path: "/settings/views", ready: "Nothing saved" },
  { name: "settings-server", path: "/settings/server", ready: "Uptime" },
  { name: "nowhere", path: "/w/SITE/nowhere", ready: "Page not found" },
]
