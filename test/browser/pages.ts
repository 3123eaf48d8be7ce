/** Every page of the dashboard: its address, and a text that is there when it is whole. */
export const pages: { name: string; path: string; ready: string }[] = [
  { name: "overview", path: "/w/SITE/overview", ready: "page_viewed" },
  { name: "events", path: "/w/SITE/events", ready: "order_paid" },
  { name: "event", path: "/w/SITE/event?name=order_paid&split=property.plan", ready: "coupon" },
  { name: "live", path: "/w/SITE/live", ready: "page_viewed" },
  {
    name: "funnels",
    path: "/w/SITE/funnels?step=page_viewed&step=product_viewed&step=cart_filled&step=order_paid",
    ready: "order_paid",
  },
]
