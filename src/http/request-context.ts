import { clientAddress, limitedBy, type TrustedNetworks } from "./address.ts"

/** A request, and where it came from. */
export interface RequestContext {
  request: Request
  /** The address of the socket that it came over. Asked only where a limit needs it: it costs more than most checks. */
  peer: () => string
  /** What its body holds, once that is read: should it be refused, it is said of what it was. */
  body: unknown
  /** Bytes of its body that were read, after decompression. */
  bytes: number
  /** The valid key or login that it came with, once that is known: limits count by it instead of the address. */
  account: string | undefined
}

/** What Elysia gives a handler of the server; null where nothing listens. */
export type ServerOf = {
  requestIP(request: Request): { address: string } | null
  /** Seconds that its connection may be idle. */
  timeout?(request: Request, seconds: number): void
} | null

export function requestContextOf(request: Request, server: ServerOf): RequestContext {
  const peer = () => server?.requestIP(request)?.address ?? ""
  return { request, peer, body: undefined, bytes: 0, account: undefined }
}

/** What limits of an address count by. */
export function addressOf({ request, peer }: RequestContext, trustedProxies: TrustedNetworks): string {
  return limitedBy(clientAddress(peer(), request.headers.get("x-forwarded-for"), trustedProxies))
}
