/** Why a connection broke, before it is known which operation will say so. */
import { NetworkError } from "../../domain/Errors.js"

export interface Fault {
  readonly reason: NetworkError["reason"]
  readonly cause?: unknown
}

export const CLOSED: Fault = { reason: "closed" }

/** The system's error codes. Others, and errors without one, are `io`. */
const REASONS = new Map<unknown, NetworkError["reason"]>(
  Object.entries({
    ECONNREFUSED: "refused",
    ECONNRESET: "reset",
    ECONNABORTED: "reset",
    EPIPE: "reset",
    EHOSTUNREACH: "unreachable",
    EHOSTDOWN: "unreachable",
    ENETUNREACH: "unreachable",
    ENETDOWN: "unreachable",
    ETIMEDOUT: "timeout",
    EADDRINUSE: "address",
    EADDRNOTAVAIL: "address",
    EACCES: "address",
    EAFNOSUPPORT: "address",
    EAI_AGAIN: "address",
    EINVAL: "address",
    ENOTFOUND: "address",
    ERR_INVALID_ARG_TYPE: "address",
    ERR_INVALID_ARG_VALUE: "address",
    ERR_SOCKET_BAD_PORT: "address"
  } as const)
)

/** What an error of the system says; of an AggregateError (one for each address of a name), the first. */
export const faultOf = (cause: unknown): Fault => {
  const { code, name } = (cause ?? {}) as { readonly code?: unknown; readonly name?: unknown }
  if (name === "SyntaxError") return { reason: "address", cause } // no URL; a DOMException in browsers
  return { reason: REASONS.get(code) ?? "io", cause }
}

export const networkError = (
  operation: NetworkError["operation"],
  address: string,
  { reason, cause }: Fault
): NetworkError => new NetworkError({ reason, operation, address, ...(cause === undefined ? {} : { cause }) })
