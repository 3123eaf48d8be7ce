import type { Weighted } from "./random.ts"
import type { Page, VisitorError } from "./visit.ts"

export const shopWebsite = { name: "Hearth & Pine", domain: "hearthpine.example" }

interface Category extends Weighted {
  slug: string
  name: string
}

const categories = [
  { slug: "lighting", name: "Lighting", weight: 34 },
  { slug: "ceramics", name: "Ceramics", weight: 26 },
  { slug: "textiles", name: "Textiles", weight: 20 },
  { slug: "furniture", name: "Furniture", weight: 12 },
  { slug: "stationery", name: "Stationery", weight: 8 },
] as const satisfies readonly Category[]

export interface Product extends Weighted {
  slug: string
  name: string
  category: (typeof categories)[number]["slug"]
  /** Price in EUR. */
  price: number
}

export const products: readonly Product[] = [
  { slug: "arc-desk-lamp", name: "Arc desk lamp", category: "lighting", price: 79, weight: 18 },
  { slug: "paper-pendant", name: "Paper pendant", category: "lighting", price: 59, weight: 10 },
  { slug: "globe-lamp", name: "Globe lamp", category: "lighting", price: 49, weight: 8 },
  { slug: "floor-lamp-no-3", name: "Floor lamp No. 3", category: "lighting", price: 189, weight: 5 },
  { slug: "speckled-mug", name: "Speckled mug", category: "ceramics", price: 18, weight: 14 },
  { slug: "serving-bowl", name: "Serving bowl", category: "ceramics", price: 36, weight: 8 },
  { slug: "bud-vase", name: "Bud vase", category: "ceramics", price: 24, weight: 7 },
  { slug: "dinner-set", name: "Dinner set for four", category: "ceramics", price: 148, weight: 3 },
  { slug: "wool-throw", name: "Wool throw", category: "textiles", price: 89, weight: 9 },
  { slug: "linen-cushion", name: "Linen cushion", category: "textiles", price: 32, weight: 7 },
  { slug: "tea-towels", name: "Tea towels, set of 3", category: "textiles", price: 22, weight: 5 },
  { slug: "oak-stool", name: "Oak stool", category: "furniture", price: 119, weight: 4 },
  { slug: "wall-shelf", name: "Wall shelf", category: "furniture", price: 94, weight: 4 },
  { slug: "side-table", name: "Side table", category: "furniture", price: 229, weight: 2 },
  { slug: "dot-notebook", name: "Dot notebook", category: "stationery", price: 14, weight: 6 },
  { slug: "brass-pen", name: "Brass pen", category: "stationery", price: 42, weight: 3 },
]

export const productsOf = Object.groupBy(products, ({ category }) => category) as Record<
  Product["category"],
  readonly Product[]
>

const titled = (title: string) => `${title} · ${shopWebsite.name}`

export const shopPages = {
  home: { path: "/", title: shopWebsite.name, heavy: 1.25 },
  cart: { path: "/cart", title: titled("Cart") },
  checkout: { path: "/checkout", title: titled("Checkout"), heavy: 1.15 },
  payment: { path: "/checkout/payment", title: titled("Payment"), heavy: 1.3 },
  thanks: { path: "/checkout/thank-you", title: titled("Thank you") },
  search: { path: "/search", title: titled("Search") },
} as const satisfies Record<string, Page>

export function productPage({ slug, name }: Product): Page {
  return { path: `/products/${slug}`, title: titled(name), heavy: 1.4 }
}

/** Pages that list products, weighted by how often visitors choose them. */
export const categoryPages: readonly (Page & Weighted & { slug: Product["category"] })[] = categories.map(
  ({ slug, name, weight }) => ({
    path: `/collections/${slug}`,
    title: titled(name),
    heavy: 1.5,
    slug,
    weight,
  }),
)

export const contentPages: readonly (Page & Weighted)[] = [
  { path: "/shipping", title: titled("Shipping and returns"), weight: 8 },
  { path: "/about", title: titled("Our workshop"), weight: 6 },
  { path: "/journal/choosing-a-desk-lamp", title: titled("Choosing a desk lamp"), weight: 9 },
  { path: "/journal/caring-for-wool", title: titled("Caring for wool"), weight: 4 },
  { path: "/contact", title: titled("Contact"), weight: 3 },
]

/** Targets and texts of links to other websites. */
export const outgoingLinks: readonly (readonly [href: string, text: string])[] = [
  ["https://www.instagram.com/hearthpine.example", "Instagram"],
  ["https://www.pinterest.com/hearthpine.example", "Pinterest"],
  ["https://tracking.parcel.example/", "Track your parcel"],
]

/** Search terms with their numbers of results. */
export const searches = [
  { query: "desk lamp", results: 6, weight: 14 },
  { query: "mug", results: 4, weight: 11 },
  { query: "gift", results: 12, weight: 9 },
  { query: "wool blanket", results: 2, weight: 6 },
  { query: "vase", results: 5, weight: 6 },
  { query: "shelf", results: 3, weight: 5 },
  { query: "candle", results: 0, weight: 5 },
  { query: "gift card", results: 0, weight: 4 },
] as const

export const payments = [
  { method: "card", weight: 46 },
  { method: "paypal", weight: 31 },
  { method: "invoice", weight: 14 },
  { method: "apple_pay", weight: 9 },
] as const

export const shippings = [
  { method: "standard", price: 4.9, weight: 72 },
  { method: "express", price: 11.9, weight: 17 },
  { method: "pickup", price: 0, weight: 11 },
] as const

export const refundReasons = [
  { reason: "damaged in transit", weight: 40 },
  { reason: "changed my mind", weight: 35 },
  { reason: "not as described", weight: 25 },
] as const

export const saleCoupon = "ANNIVERSARY15"
export const usualCoupon = "WELCOME10"

/** Errors in the shop's scripts. */
export const shopErrors: readonly (VisitorError & Weighted)[] = [
  {
    message: "TypeError: Failed to fetch",
    file: "search.js",
    line: 48,
    column: 11,
    stack: ["suggest", "onInput"],
    weight: 5,
  },
  {
    message: "TypeError: Cannot read properties of null (reading 'offsetTop')",
    file: "gallery.js",
    line: 112,
    column: 23,
    stack: ["scrollTo", "openImage"],
    weight: 4,
  },
  {
    message: "NotAllowedError: play() failed because the user didn't interact with the document first.",
    file: "hero-video.js",
    line: 17,
    column: 5,
    stack: ["start"],
    weight: 2,
  },
]

/** The error that pages report shortly before and after the outage. */
export const outageError: VisitorError = {
  message: "Error: Request failed with status 503",
  file: "api.js",
  line: 31,
  column: 9,
  stack: ["request", "loadCart"],
}
