import type { AcquisitionContext, ClientContext } from "../../src/store/contexts.ts"
import type { EventRow } from "../../src/store/events.ts"
import { contextsOf, eventRow } from "./event.ts"

const unknown = contextsOf(() => "")

export function client(known: Partial<ClientContext>): ClientContext {
  return { ...unknown.client, ...known }
}

export function acquisition(known: Partial<AcquisitionContext>): AcquisitionContext {
  return { ...unknown.acquisition, ...known }
}

/** A page view. */
export function pageView(changes: Partial<EventRow> = {}): EventRow {
  return eventRow({
    name: "screen_view",
    kind: "page_view",
    path: "/",
    keys: '["title"]',
    properties: '"Home"',
    client: client({ country: "DE", browser_name: "Firefox" }),
    acquisition: acquisition({ referrer_type: "direct" }),
    viaKey: 0,
    ...changes,
  })
}
