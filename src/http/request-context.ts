import { clientAddress, rateLimitPrefix, type TrustedNetworks } from "./address.ts"

/** A request and its sender. */
export interface RequestContext {
  request: Request
  /**
   * Address of the socket's peer. Looked up only when it is first needed, because the lookup costs more than most
   * checks.
   */
  peer: () => string
  /** Parsed body. Used to describe the request if it is rejected. */
  body: unknown
  /** Bytes of the body that have been read: as received or after decompression, whichever is larger. */
  bytes: number
  /** The valid key or login of the request. If it is set, limits apply to it instead of the address. */
  account: string | undefined
}

/** The part of Bun's server that handlers use. Null in tests without a listener. */
export type RequestServer = {
  requestIP(request: Request): { address: string } | null
  /** Sets the idle timeout of the connection, in seconds. */
  timeout?(request: Request, seconds: number): void
} | null

export function requestContextOf(request: Request, server: RequestServer): RequestContext {
  let address: string | undefined
  const peer = () => {
    address ??= server?.requestIP(request)?.address ?? ""
    return address
  }
  return { request, peer, body: undefined, bytes: 0, account: undefined }
}

/** Returns the client address (or IPv6 /64) by which requests are counted for limits. */
export function addressOf({ request, peer }: RequestContext, trustedProxies: TrustedNetworks): string {
  return rateLimitPrefix(clientAddress(peer(), request.headers.get("x-forwarded-for"), trustedProxies))
}
