import { newVisitor, timeOfDay, type Visitor } from "./audience.ts"
import type { PeopleMaker, Person } from "./people.ts"
import {
  categoryPages,
  contentPages,
  outageError,
  outgoingLinks,
  type Product,
  payments,
  productPage,
  products,
  productsOf,
  refundReasons,
  saleCoupon,
  searches,
  shippings,
  shopErrors,
  shopPages,
  usualCoupon,
} from "./shop-data.ts"
import { campaignSources, direct, type Source, shopSources } from "./sources.ts"
import { dayMs, hourMs, leisure, type Timeline, warmUpDays, weekdayFactor } from "./timeline.ts"
import { type Page, type Scene, serverEvent, Visit } from "./visit.ts"

/** Number of first-time visits on an average day at the start of the data. */
const dailyVisitors = 72
/** Additional visits during the sale, as a share of `dailyVisitors`. */
const campaignShare = 0.7
/** Share of purchases during the sale that use its coupon. */
const couponShare = 0.55
/** Number of hours before and after the outage in which many requests fail. */
const troubleHours = 0.75

/** A visitor of the shop. */
interface Shopper {
  visitor: Visitor
  /** Where the first visit came from. */
  source: Source
  /** The account of the visitor, if there is one. */
  customer: Customer | undefined
  orders: number
}

export interface Customer extends Person {
  id: string
  /** When the account was created, in Unix ms. */
  since: number
  orders: number
  visitorIds: string[]
}

/** Outcomes of a visit, with the share of visitors who return and the mean number of days until they do. */
const outcomes = {
  bounced: { returns: 0.07, days: 9 },
  looked: { returns: 0.27, days: 7 },
  filledCart: { returns: 0.55, days: 2.5 },
  bought: { returns: 0.5, days: 17 },
} as const
type Outcome = keyof typeof outcomes

/** Simulates visits to a shop that sells lamps and ceramics. */
export class Shop {
  readonly customers: Customer[] = []
  /** Visitors who will return, by the day of their return. */
  readonly #returns = new Map<number, Shopper[]>()
  #orders = 4_180

  constructor(
    private readonly scene: Scene,
    private readonly people: PeopleMaker,
    private readonly timeline: Timeline,
  ) {}

  /** Simulates every day of the data. */
  run(): void {
    const { today, start } = this.timeline
    for (let day = start - warmUpDays * dayMs; day <= today; day += dayMs) this.#runDay(day)
  }

  /** Simulates a visit by a new visitor. */
  liveVisit(at: number): void {
    const { random } = this.scene
    const source = random.weighted(shopSources)
    this.#visit({ visitor: newVisitor(random, "shop"), source, customer: undefined, orders: 0 }, source, at)
  }

  #runDay(day: number): void {
    const { random } = this.scene
    const { timeline } = this
    const factor = weekdayFactor(leisure, day) * timeline.growth(day) * (0.92 + 0.16 * random.fraction())
    const sources = [
      { rows: shopSources, count: dailyVisitors * factor },
      { rows: campaignSources, count: timeline.isCampaign(day) ? dailyVisitors * campaignShare * factor : 0 },
    ]
    const visits: { shopper: Shopper; source: Source; at: number }[] = []
    const add = (shopper: Shopper, source: Source) =>
      visits.push({ shopper, source, at: timeOfDay(random, day, leisure, shopper.visitor.ahead) })
    for (const { rows, count } of sources) {
      for (let left = random.count(count); left > 0; left--) {
        const source = random.weighted(rows)
        add({ visitor: newVisitor(random, "shop"), source, customer: undefined, orders: 0 }, source)
      }
    }
    for (const shopper of this.#returns.get(day) ?? []) {
      // Returning visitors come directly or from their first source.
      add(shopper, random.chance(0.55) ? direct : shopper.source)
    }
    this.#returns.delete(day)
    for (const { shopper, source, at } of visits) {
      if (timeline.isOutage(at)) continue
      const { returns, days } = outcomes[this.#visit(shopper, source, at)]
      if (!random.chance(returns)) continue
      // The visitor does not return on the same day, because the next visit would often start before this one.
      const next = day + Math.max(1, Math.round(random.wait(days))) * dayMs
      const others = this.#returns.get(next)
      if (others) others.push(shopper)
      else this.#returns.set(next, [shopper])
    }
  }

  #visit(shopper: Shopper, source: Source, at: number): Outcome {
    const { random } = this.scene
    const isKnown = shopper.customer !== undefined
    const visit = new Visit(this.scene, {
      visitor: shopper.visitor,
      at,
      source: source.acquisition,
      profileId: shopper.customer?.id ?? null,
    })
    visit.open(this.#landingPage(source))
    if (random.chance(this.#isTrouble(at) ? 0.45 : 0.012)) {
      visit.error(this.#isTrouble(at) ? outageError : random.weighted(shopErrors))
    }
    if (random.chance(source.bounce * (isKnown ? 0.5 : 1))) {
      visit.wait(3).leave()
      return "bounced"
    }
    visit.wait(16)
    const outcome = this.#browse(visit, shopper, source.intent * (isKnown ? 2.6 : 1))
    visit.leave()
    return outcome
  }

  #landingPage(source: Source): Page {
    const { random } = this.scene
    if (source === direct || random.chance(0.3)) return shopPages.home
    if (random.chance(0.18)) return random.weighted(contentPages)
    return random.chance(0.45) ? random.weighted(categoryPages) : productPage(random.weighted(products))
  }

  /** Simulates looking at products and, sometimes, buying them. */
  #browse(visit: Visit, shopper: Shopper, intent: number): Outcome {
    const { random } = this.scene
    const cart: Product[] = []
    let category = random.weighted(categoryPages)
    for (let steps = 1 + random.count(1.7); steps > 0; steps--) {
      if (random.chance(0.1)) {
        const { query, results } = random.weighted(searches)
        visit.open(shopPages.search).wait(7).track("search_used", { query, results })
        if (results === 0) continue
      } else if (random.chance(0.12)) {
        visit.open(random.weighted(contentPages)).wait(28)
        continue
      } else if (random.chance(0.5)) {
        if (random.chance(0.3)) category = random.weighted(categoryPages)
        visit.open(category).wait(14)
      }
      const product = random.weighted(productsOf[category.slug])
      const { name, price } = product
      visit
        .open(productPage(product))
        .track("product_viewed", { product: name, category: product.category, price })
      visit.wait(24)
      // Cheap products are added to the cart more often.
      if (!random.chance(0.046 * intent * (price < 40 ? 1.35 : price > 110 ? 0.6 : 1))) continue
      const quantity = price < 40 && random.chance(0.35) ? random.integer(2, 4) : 1
      cart.push(...Array<Product>(quantity).fill(product))
      visit.track("add_to_cart", { product: name, category: product.category, price, quantity })
    }
    if (random.chance(0.02)) visit.outgoing(...random.pick(outgoingLinks))
    if (random.chance(0.022))
      visit.track("newsletter_subscribed", { place: random.pick(["footer", "popup"]) })
    if (cart.length === 0) return "looked"
    return this.#checkOut(visit, shopper, cart) ? "bought" : "filledCart"
  }

  #checkOut(visit: Visit, shopper: Shopper, cart: readonly Product[]): boolean {
    const { random } = this.scene
    const isMobile = shopper.visitor.client.device_type === "mobile"
    const isKnown = shopper.customer !== undefined
    const amount = cart.reduce((sum, { price }) => sum + price, 0)
    visit.open(shopPages.cart).wait(15)
    if (!random.chance(isMobile ? 0.56 : 0.66)) return false
    visit.open(shopPages.checkout).track("checkout_started", { items: cart.length, amount })
    visit.wait(isKnown ? 18 : 48)
    if (!random.chance(isKnown ? 0.9 : isMobile ? 0.72 : 0.8)) {
      visit.form(random.pick(["email", "street", "street", "phone"]), false)
      return false
    }
    const shipping = random.weighted(shippings)
    visit.form("phone", true).track("shipping_selected", { method: shipping.method })
    visit.open(shopPages.payment).wait(22)
    const { method } = random.weighted(payments)
    visit.track("payment_submitted", { method })
    if (!random.chance(method === "card" ? 0.88 : 0.94)) {
      visit.form("card_number", false).track("payment_failed", { method })
      return false
    }
    visit.form("card_number", true).wait(5).open(shopPages.thanks)
    this.#order(visit, shopper, { cart, amount, method, shipping: shipping.price })
    visit.wait(9)
    return true
  }

  #order(
    visit: Visit,
    shopper: Shopper,
    order: { cart: readonly Product[]; amount: number; method: string; shipping: number },
  ): void {
    const { random } = this.scene
    const { cart, method, shipping } = order
    const hasSale = this.timeline.isCampaign(visit.at) && random.chance(couponShare)
    const coupon = hasSale ? saleCoupon : random.chance(0.12) ? usualCoupon : undefined
    const discount = hasSale ? 0.85 : coupon ? 0.9 : 1
    const amount = Math.round((order.amount * discount + (order.amount > 80 ? 0 : shipping)) * 100) / 100
    const orderId = `HP-${++this.#orders}`
    const [first] = cart
    visit.track("purchase", {
      order_id: orderId,
      amount,
      currency: "EUR",
      items: cart.length,
      category: first?.category,
      payment: method,
      first_order: shopper.orders === 0,
      ...(coupon && { coupon }),
    })
    shopper.orders++
    this.#recordCustomer(shopper, visit.at)
    if (!random.chance(0.05)) return
    const profileId = shopper.customer?.id
    if (profileId === undefined) return
    serverEvent(this.scene, {
      name: "refund",
      properties: {
        order_id: orderId,
        amount: random.chance(0.7) ? amount : Math.round(amount * 50) / 100,
        currency: "EUR",
        reason: random.weighted(refundReasons).reason,
      },
      at: visit.at + Math.floor((2 + random.wait(5)) * dayMs),
      visitor: shopper.visitor,
      profileId,
    })
  }

  /** Records the customer of an order. Most customers create an account with their first order. */
  #recordCustomer(shopper: Shopper, at: number): void {
    const { customer } = shopper
    if (customer) {
      customer.orders++
      return
    }
    if (!this.scene.random.chance(0.7)) return
    shopper.customer = {
      ...this.people.customer(),
      id: `customer_${1_000 + this.customers.length}`,
      since: at,
      orders: 1,
      visitorIds: [shopper.visitor.id],
    }
    this.customers.push(shopper.customer)
  }

  /** True shortly before and after the outage. */
  #isTrouble(at: number): boolean {
    const margin = troubleHours * hourMs
    return this.timeline.isOutage(at + margin) || this.timeline.isOutage(at - margin)
  }
}
