/** Where to listen and whom to connect to, as users write it: `3282`, `host:3282`, `[::1]:3282`, `ws://host:8080/path`. */
import * as Options from "@effect/cli/Options"
import { Effect, Either, type Scope } from "effect"
import type { Address, Connection, Listener, NetworkError, NetworkService } from "../index.js"
import { NetworkTcp, NetworkWebSocketNode } from "../node.js"
import * as Parser from "./Parser.js"

export interface Endpoint {
  readonly transport: "tcp" | "ws"
  readonly address: Address
}

const PORTS = 65_536
const CONNECT_SECONDS = 10

const network = (transport: Endpoint["transport"], maxConnections?: number): NetworkService => {
  const options = { connectTimeout: `${CONNECT_SECONDS} seconds`, maxConnections } as const
  return transport === "tcp" ? NetworkTcp.make(options) : NetworkWebSocketNode.make(options)
}

const parseAddress = (text: string): Address | undefined => {
  const match = /^(?:(?:\[([\da-f:.]+)\]|([^\s:[\]/]+)):)?(\d{1,5})$/i.exec(text)
  const port = Number(match?.[3])
  if (match === null || port >= PORTS) return undefined
  return { host: match[1] ?? match[2], port }
}

/** Where to listen. Without a host: on all of this machine's addresses. */
export const parseListen =
  (transport: Endpoint["transport"]): Parser.Parser<Endpoint> =>
  (text) => {
    const address = parseAddress(text)
    return address === undefined
      ? Either.left(`'${text}' is neither a port, such as 3282, nor an address, such as 127.0.0.1:3282`)
      : Either.right({ transport, address })
  }

/** Whom to connect to. Without a host: this machine. */
export const parseRemote: Parser.Parser<Endpoint> = (text) => {
  const address = /^wss?:/i.test(text) ? parseUrl(text) : parseAddress(text)
  if (address === undefined || address.port === 0) {
    return Either.left(
      `'${text}' is neither an address, such as example.org:3282, nor a URL of ws:// or wss://`
    )
  }
  return Either.right({ transport: /^ws/i.test(text) && text.includes("//") ? "ws" : "tcp", address })
}

const parseUrl = (text: string): Address | undefined => {
  if (!URL.canParse(text)) return undefined
  const { hostname, pathname, port, protocol, search } = new URL(text)
  const secure = protocol === "wss:"
  return {
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? (secure ? 443 : 80) : Number(port),
    path: pathname + search,
    secure
  }
}

export const format = ({ address, transport }: Endpoint): string => {
  const { host = "localhost", path = "", port, secure } = address
  const name = `${host.includes(":") ? `[${host}]` : host}:${port}`
  if (transport === "tcp") return name
  return `${secure === true ? "wss" : "ws"}://${name}${path === "/" ? "" : path}`
}

/** Waits ten seconds at most; closed with the scope. */
export const connect = (endpoint: Endpoint): Effect.Effect<Connection, NetworkError, Scope.Scope> =>
  network(endpoint.transport).connect(endpoint.address)

/** Listens until the scope closes; answers where, with the real port. A connection beyond `maxConnections` is closed as it comes. */
export const listen = <E, R>(
  { address, transport }: Endpoint,
  maxConnections: number,
  handle: (connection: Connection) => Effect.Effect<void, E, R>
): Effect.Effect<Endpoint, NetworkError, R | Scope.Scope> =>
  Effect.map(network(transport, maxConnections).listen(address, handle), (listener: Listener) => ({
    transport,
    address: { ...address, ...listener.address }
  }))

/** `--from` */
export const from = Options.text("from").pipe(
  Options.withPseudoName("address"),
  Options.withDescription("Where the feed is served: host:port for TCP, or a URL of ws:// or wss://."),
  Options.mapEffect(Parser.forOption("from", parseRemote))
)
