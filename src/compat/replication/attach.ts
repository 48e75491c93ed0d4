/**
 * attach: an open feed on a protocol stream, ours or the real `hypercore-protocol`, from its opening on the stream to its end there. A
 * failure ends the stream, as it does with the peer.
 */
import { type Cause, Effect, Exit } from "effect"
import { Replication, type Wire } from "../../index.js"
import { fork } from "../fork.js"
import { ofCause } from "../LegacyError.js"
import type * as Protocol from "../protocol.js"
import { drained } from "./drained.js"
import type { LegacyPeer } from "./LegacyPeer.js"
import { unrefClock } from "./UnrefClock.js"

/** What the feed's façade does when a peer comes, says more, or goes. */
export type OnPeer = (what: Replication.PeerNews, peer: LegacyPeer) => void

/** What is used of a stream: as much as the real one has, too. */
export type ProtocolStream = Protocol.Protocol

/** Opens the feed on the stream, and speaks of it once what was appended before is `stored`. */
export const attach = (
  feed: Replication.AnyFeed,
  stream: ProtocolStream,
  peer: LegacyPeer,
  key: Buffer,
  onPeer: OnPeer,
  stored: Promise<void> | undefined
): void => {
  const channel = stream.feed(key, { peer })
  // The stream refuses.
  if (channel === null || channel === undefined) return
  peer.stream = channel
  if (stored === undefined) greet(stream, channel, peer)
  else void stored.then(() => greet(stream, channel, peer))
  const { ack, download, live, upload } = peer.options
  const program = Replication.replicateMessages(feed, messagesOf(stream, channel, peer), {
    live,
    ack,
    download,
    upload,
    allowPush: peer.feed.allowPush,
    maxRequests: peer.options.maxRequests ?? peer.feed.givenMaxRequests,
    onPeer: (what, info) => {
      if (peer.info === undefined) peer.meet(info)
      onPeer(what, peer)
    }
  })
  const fiber = fork(Effect.withClock(program, unrefClock))
  fiber.addObserver((exit) => {
    if (Exit.isSuccess(exit)) return
    process.nextTick(() => (isOver(exit.cause) ? channel.close() : stream.destroy(ofCause(exit.cause))))
  })
}

/** A stream that ends before all has come, or a feed that is closed, is no error to the peer's callers. */
const isOver = (cause: Cause.Cause<unknown>): boolean => {
  if (cause._tag !== "Fail" || typeof cause.error !== "object") return false
  const { _tag, reason } = cause.error as { readonly _tag?: unknown; readonly reason?: unknown }
  return _tag === "FeedClosed" || reason === "ended-early"
}

/** Hands on the other side's handshake, once it has opened this feed too: before that it would have to keep what we say. */
const greet = (stream: ProtocolStream, channel: Protocol.ProtocolChannel, peer: LegacyPeer): void => {
  let greeted = false
  const look = (): void => {
    if (greeted || stream.remoteId === null || channel.remoteId < 0) return
    greeted = true
    stream.removeListener("handshake", look)
    stream.removeListener("feed", look)
    peer.remoteId = stream.remoteId
    peer.remoteAck = stream.remoteAck === true
    const handshake: Wire.Handshake = {
      _tag: "Handshake",
      id: stream.remoteId,
      live: stream.remoteLive,
      userData: stream.remoteUserData ?? undefined,
      extensions: [],
      ack: peer.remoteAck,
      ordered: stream.remoteOrdered
    }
    peer.inbox.greet(handshake)
  }
  stream.setMaxListeners(0)
  stream.on("handshake", look)
  stream.on("feed", look)
  look()
}

const messagesOf = (
  stream: ProtocolStream,
  channel: Protocol.ProtocolChannel,
  peer: LegacyPeer
): Replication.MessageChannel => ({
  remote: "a protocol stream",
  pull: peer.inbox.pull,
  send: (message) => peer.send(message),
  drained: Effect.suspend(() => drained(stream)),
  end: Effect.sync(() => channel.close()),
  // The channel's end would be the stream's, which could not be destroyed with the error any more.
  abort: Effect.void
})
