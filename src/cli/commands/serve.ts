import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Cause, Effect, Either, Exit, Option } from "effect"
import { type Connection, type Feed, Replication, toHex } from "../../index.js"
import { CryptoNode } from "../../node.js"
import { formatBytes, formatCount } from "../ByteSize.js"
import * as Endpoint from "../Endpoint.js"
import { failed } from "../Failure.js"
import * as FeedDirectory from "../FeedDirectory.js"
import * as FollowedFeed from "../FollowedFeed.js"
import * as Parser from "../Parser.js"
import * as RemoteFailure from "../RemoteFailure.js"
import * as StandardError from "../StandardError.js"
import * as StandardOutput from "../StandardOutput.js"

/** The port that Dat programs use. */
const DEFAULT = "3282"
/** Of each listener, where none are given: what as many strangers can make a process hold, some 10 MB each, most machines bear. */
const MOST_CONNECTIONS = 256

const listenOption = (transport: "tcp" | "ws") =>
  Options.text(transport).pipe(
    Options.withPseudoName("[host:]port"),
    Options.mapEffect(Parser.forOption(transport, Endpoint.parseListen(transport))),
    Options.optional
  )

const parseConnections: Parser.Parser<number> = (text) =>
  /^[1-9]\d{0,5}$/.test(text)
    ? Either.right(Number(text))
    : Either.left(`'${text}' is not a number of connections, such as ${MOST_CONNECTIONS}`)

const options = {
  dirs: FeedDirectory.directories,
  tcp: listenOption("tcp").pipe(
    Options.withDescription(
      `Listen for TCP: on all addresses of this machine, or only on that of the host. Port 0 takes any that is free. Without --tcp and --ws: ${DEFAULT}.`
    )
  ),
  ws: listenOption("ws").pipe(Options.withDescription("Listen for WebSockets, the same way.")),
  maxConnections: Options.text("max-connections").pipe(
    Options.withPseudoName("n"),
    Options.withDescription(
      `Connections at a time, over TCP and over WebSockets each: one more is closed as it comes. Without it: ${MOST_CONNECTIONS}.`
    ),
    Options.mapEffect(Parser.forOption("max-connections", parseConnections)),
    Options.withDefault(MOST_CONNECTIONS)
  )
}

interface Served {
  readonly dir: string
  readonly feed: Feed.Feed
}

/** By discovery key. */
type Serving = ReadonlyMap<string, Served>

const open = (dirs: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const serving = new Map<string, Served>()
    for (const dir of dirs) {
      const { feed, follow } = yield* FollowedFeed.open(dir)
      const name = toHex(feed.discoveryKey)
      const same = serving.get(name)
      if (same !== undefined) return yield* failed(`${dir}: is the same feed as ${same.dir}`)
      serving.set(name, { dir, feed })
      yield* Effect.forkScoped(
        Effect.catchAll(follow, ({ message }) =>
          StandardError.writeLine(`${message}; what was read of it before is served on`)
        )
      )
    }
    return serving
  })

class Totals {
  connections = 0
  blocks = 0
  bytes = 0

  format(): string {
    const sent = `${formatCount(this.blocks, "block")}, ${formatBytes(this.bytes)}`
    return `${sent}, over ${formatCount(this.connections, "connection")}`
  }
}

const whyEnded = (exit: Exit.Exit<void, Replication.ReplicationError>): string => {
  if (Exit.isSuccess(exit)) return "the other side ended it"
  const error = Cause.failureOption(exit.cause)
  if (Option.isNone(error)) return "stopped here"
  return error.value._tag === "ProtocolError" && error.value.reason === "other-feed"
    ? "a feed was asked for that is not served here"
    : RemoteFailure.describe(error.value)
}

/** Serves one connection until it ends, for whatever reason. */
const handle = (serving: Serving, totals: Totals) => (connection: Connection) =>
  Effect.gen(function* () {
    totals.connections++
    yield* StandardError.writeLine(`${connection.remote} connected`)
    const replicator = yield* Replication.connect(connection, {
      live: true,
      onFeed: (discoveryKey) =>
        Effect.succeed(
          Option.map(
            Option.fromNullable(serving.get(toHex(discoveryKey))),
            ({ feed }) => [feed, { download: false }] as const
          )
        )
    })
    yield* replicator.ended.pipe(
      Effect.onExit((exit) => {
        const { uploadedBlocks, uploadedBytes } = replicator.stats
        totals.blocks += uploadedBlocks
        totals.bytes += uploadedBytes
        const sent = `${formatCount(uploadedBlocks, "block")}, ${formatBytes(uploadedBytes)} sent`
        return StandardError.writeLine(`${connection.remote} disconnected: ${whyEnded(exit)}; ${sent}`)
      }),
      Effect.ignore
    )
  }).pipe(Effect.scoped)

export const serve = Command.make("serve", options, ({ dirs, maxConnections, tcp, ws }) =>
  Effect.gen(function* () {
    const serving = yield* open(dirs)
    const given = [tcp, ws].flatMap(Option.toArray)
    const endpoints =
      given.length > 0 ? given : [{ transport: "tcp", address: { port: Number(DEFAULT) } } as const]
    const totals = new Totals()
    yield* Effect.gen(function* () {
      const listening = yield* Effect.forEach(endpoints, (endpoint) =>
        Effect.mapError(
          Endpoint.listen(endpoint, maxConnections, handle(serving, totals)),
          RemoteFailure.explainListening(endpoint)
        )
      )
      yield* StandardOutput.writeRows([
        ...[...serving.values()].map(
          ({ dir, feed }) =>
            ["feed", `${toHex(feed.key)}, ${formatCount(feed.length, "block")}, ${dir}`] as const
        ),
        ...listening.map((endpoint) => [endpoint.transport, Endpoint.format(endpoint)] as const)
      ])
      yield* Effect.never
    }).pipe(
      Effect.scoped,
      // By then all connections have ended.
      Effect.onInterrupt(() => Effect.ignore(StandardOutput.write(`served  ${totals.format()}\n`)))
    )
  }).pipe(Effect.scoped, Effect.provide(CryptoNode.layer))
).pipe(
  Command.withDescription(
    "Serve feeds to whoever knows their keys, until Ctrl-C. Nothing is locked: what other programs append meanwhile is served too."
  )
)

export const examples = ["hypercore serve log", "hypercore serve log photos --tcp 127.0.0.1:0 --ws 8080"]
