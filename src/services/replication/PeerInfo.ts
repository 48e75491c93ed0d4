/** What is known of the other side of a feed on a connection: live, and the same object as long as it is connected. */
import type { Effect } from "effect"
import type { InFlight, Peer, PeerStats } from "../../domain/Peer.js"
import type * as Wire from "../../domain/Wire.js"

/** What is known of the other side of a feed, now. */
export interface PeerInfo {
  readonly key: Uint8Array
  readonly address: string
  readonly remoteId: Uint8Array | undefined
  readonly remoteUserData: Uint8Array | undefined
  readonly remoteExtensions: ReadonlyArray<string>
  /** Blocks in its log, as far as it said. */
  readonly remoteLength: number
  /** Whether it said that it has the block, and we do not know it to be ours already. */
  readonly remoteHas: (index: number) => boolean
  readonly remoteDownloading: boolean
  readonly downloading: boolean
  /** Requests in flight. */
  readonly inFlight: number
  /** What they ask for, oldest first. */
  readonly requests: ReadonlyArray<InFlight>
  /** Requests in flight, at most; `undefined`: as many as the link carries. May be changed at any time. */
  maxRequests: number | undefined
  readonly stats: Readonly<PeerStats>
  /**
   * Ends when nothing more of what it said it has and is wanted here will come: with true when all of that is held, with false when
   * requests were left unanswered or the connection is over.
   */
  readonly downloaded: Effect.Effect<boolean>
  /** Sends an extension message; false when the other side does not understand it. */
  readonly extension: (name: string, payload: Uint8Array) => boolean
}

/** A member, as far as it is told of. */
export interface Described {
  readonly key: Uint8Array
  readonly peer: Peer
  readonly address: string
  readonly remote: Wire.Handshake | undefined
  readonly downloaded: Effect.Effect<boolean>
  readonly look: () => void
  readonly extension: (name: string, payload: Uint8Array) => boolean
}

export const peerInfo = (member: Described): PeerInfo => {
  const { peer } = member
  return {
    key: member.key,
    address: member.address,
    get remoteId() {
      return member.remote?.id
    },
    get remoteUserData() {
      return member.remote?.userData
    },
    get remoteExtensions() {
      return member.remote?.extensions ?? []
    },
    get remoteLength() {
      return peer.remoteLength
    },
    remoteHas: (index) => peer.remote.has(index),
    get remoteDownloading() {
      return peer.remoteDownloading
    },
    get downloading() {
      return peer.downloading
    },
    get inFlight() {
      return peer.inFlight
    },
    get requests() {
      return peer.requests
    },
    get maxRequests() {
      return peer.window.most
    },
    set maxRequests(most) {
      peer.window.most = most
      member.look()
    },
    stats: peer.stats,
    downloaded: member.downloaded,
    extension: (name, payload) => member.extension(name, payload)
  }
}
