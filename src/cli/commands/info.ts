import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Effect, Schema } from "effect"
import { type Feed, Fork, toHex } from "../../index.js"
import { CryptoNode } from "../../node.js"
import { formatCount, formatNumber } from "../ByteSize.js"
import * as FeedDirectory from "../FeedDirectory.js"
import * as Key from "../Key.js"
import * as LastSignature from "../LastSignature.js"
import * as StandardOutput from "../StandardOutput.js"
import * as StoredFiles from "../StoredFiles.js"

const options = {
  dir: FeedDirectory.directory,
  key: Key.ofStored,
  json: Options.boolean("json").pipe(Options.withDescription("Print one JSON object on one line."))
}

/** What `--json` prints; scripts depend on the names. */
interface FeedInfo {
  readonly key: string
  readonly discoveryKey: string
  readonly length: number
  readonly byteLength: number
  /** Blocks that are stored. */
  readonly held: number
  readonly whole: boolean
  /** Whether the secret key is stored, and sound, so that the feed can be appended to. */
  readonly writable: boolean
  readonly secretKey: StoredFiles.SecretKey
  readonly signature: LastSignature.LastSignature
  /** What shows that the key has signed two histories (base64), or nothing, as far as is known here. */
  readonly fork: string | null
  readonly crypto: string
}

const collect = (dir: string, key: Feed.OpenOptions) =>
  Effect.gen(function* () {
    const feed = yield* FeedDirectory.openReadOnly(dir, key)
    const held = yield* feed.downloaded()
    const secretKey = yield* StoredFiles.secretKeyOf(dir, feed.key)
    return {
      key: toHex(feed.key),
      discoveryKey: toHex(feed.discoveryKey),
      length: feed.length,
      byteLength: feed.byteLength,
      held,
      whole: held === feed.length,
      writable: secretKey === "stored",
      secretKey,
      signature: yield* LastSignature.check(feed),
      fork: feed.fork === undefined ? null : Schema.encodeSync(Fork.schema)(feed.fork),
      crypto: feed.crypto
    } satisfies FeedInfo
  }).pipe(Effect.provide(CryptoNode.layer), Effect.mapError(FeedDirectory.explain(dir)))

const describeSignature = (signature: LastSignature.LastSignature): string =>
  signature.state === "none" ? "none" : `${signature.state}, for block ${signature.index}`

const WRITABLE = {
  stored: "yes, the secret key is stored",
  none: "no, the secret key is not stored",
  damaged: "no, the stored secret key is damaged"
} as const

const toRows = (info: FeedInfo): ReadonlyArray<readonly [string, string]> => [
  ...([
    ["key", info.key],
    ["discovery key", info.discoveryKey],
    ["length", formatCount(info.length, "block")],
    ["bytes", formatNumber(info.byteLength)],
    [
      "stored",
      `${formatNumber(info.held)} of ${formatCount(info.length, "block")} (${info.whole ? "whole" : "sparse"})`
    ],
    ["writable", WRITABLE[info.secretKey]],
    ["last signature", describeSignature(info.signature)],
    ["crypto", info.crypto]
  ] as const),
  ...(info.fork === null
    ? []
    : [["fork", "the key has signed two histories; --json gives what shows it"] as const])
]

export const info = Command.make("info", options, ({ dir, json, key }) =>
  Effect.scoped(collect(dir, key)).pipe(
    Effect.flatMap((info) =>
      json ? StandardOutput.write(`${JSON.stringify(info)}\n`) : StandardOutput.writeRows(toRows(info))
    )
  )
).pipe(
  Command.withDescription(
    "Print what a feed is: its keys, its length, what of it is stored. Works also while another process writes to it."
  )
)

export const examples = ["hypercore info log", "hypercore info --json log | jq .length"]
