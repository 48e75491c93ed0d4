/** What went wrong with the other side, in a user's words. */
import type { NetworkError, ProtocolError, Replication } from "../index.js"
import * as Endpoint from "./Endpoint.js"
import { type CommandFailed, failed } from "./Failure.js"
import * as FeedDirectory from "./FeedDirectory.js"

const codeOf = (error: NetworkError): unknown =>
  error.cause instanceof Error && "code" in error.cause ? error.cause.code : undefined

const CONNECTING: Record<NetworkError["reason"], string> = {
  refused: "the connection was refused: nothing is served there",
  reset: "the connection was broken",
  closed: "the connection was closed",
  unreachable: "cannot be reached",
  address: "is no address that can be connected to",
  timeout: "did not answer in time",
  io: "cannot be connected to"
}

const describeNetwork = (error: NetworkError): string => {
  if (error.operation !== "connect") return "the connection was broken"
  if (codeOf(error) === "ENOTFOUND") return "there is no such host"
  const detail = error.reason === "io" && error.cause instanceof Error ? `: ${error.cause.message}` : ""
  return CONNECTING[error.reason] + detail
}

const describeProtocol = (error: ProtocolError): string => {
  switch (error.reason) {
    case "other-feed":
      return "another feed is served there"
    case "no-nonce":
      return "what is sent there is not encrypted"
    case "invalid-data":
      return `what was sent does not verify: ${error.detail}`
    case "timeout":
      return "the other side fell silent"
    case "ended-early":
      return "the other side ended the connection before all had come"
    default:
      return `the other side broke the protocol: ${error.detail}`
  }
}

/** Why a connection ended. */
export const describe = (error: Replication.ReplicationError): string => {
  if (error._tag === "NetworkError") return describeNetwork(error)
  return error._tag === "ProtocolError" ? describeProtocol(error) : error.message
}

/** A failure of the feed in `directory` or of the connection with `remote`, said of whichever it is. */
export const explain =
  (directory: string, remote: Endpoint.Endpoint) =>
  (error: Replication.ReplicationError): CommandFailed =>
    error._tag === "NetworkError" || error._tag === "ProtocolError"
      ? failed(`${Endpoint.format(remote)}: ${describe(error)}`)
      : FeedDirectory.explain(directory)(error)

/** Why there is no listening on `endpoint`. */
export const explainListening =
  (endpoint: Endpoint.Endpoint) =>
  (error: NetworkError): CommandFailed => {
    const where =
      endpoint.address.host === undefined ? `port ${endpoint.address.port}` : Endpoint.format(endpoint)
    switch (codeOf(error)) {
      case "EADDRINUSE":
        return failed(`cannot listen on ${where}: it is in use; give another with --${endpoint.transport}`)
      case "EACCES":
        return failed(`cannot listen on ${where}: permission denied`)
      case "EADDRNOTAVAIL":
      case "ENOTFOUND":
        return failed(`cannot listen on ${where}: it is not an address of this machine`)
      default:
        return failed(error.message)
    }
  }
