import { clientAddress, rateLimitPrefix, type TrustedNetworks } from "./address.ts"

/** A request and its sender. */
export interface RequestContext {
  request: Request
  /**
   * Address of the peer of the socket. Looked up once, when it is first needed, because the lookup costs more than most
   * checks.
   */
  peer: () => string
  /** Parsed body. Used to describe the request if it is rejected. */
  body: unknown
  /** Bytes of the body that have been read, after decompression. */
  bytes: number
  /** The valid key or login of the request. Limits count by it instead of by address. */
  account: string | undefined
}

/** The part of Bun's server that Elysia passes to handlers; null in tests without a listener. */
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

/** The client address, or IPv6 /64, that limits count by. */
export function addressOf({ request, peer }: RequestContext, trustedProxies: TrustedNetworks): string {
  return rateLimitPrefix(clientAddress(peer(), request.headers.get("x-forwarded-for"), trustedProxies))
}
