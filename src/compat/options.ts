/** The options of the façade and of its calls, as the peer documents them. */
import type { LegacyEncoding } from "./codecs.js"
import type { LegacyCrypto, LegacyOnWrite } from "./feed/open.js"
import type { ProtocolOptions } from "./protocol.js"
import type { ProtocolStream } from "./replication/attach.js"

export interface HypercoreOptions {
  readonly key?: Uint8Array | string | null
  readonly secretKey?: Uint8Array | string | null
  /** Make a feed where none is stored. Default true. */
  readonly createIfMissing?: boolean
  /** Drop what is stored. Default false. */
  readonly overwrite?: boolean
  /** `json`, `utf-8`, `binary` (the default), another that `codecs` knows, or an abstract encoding. */
  readonly valueEncoding?: LegacyEncoding
  /** Download only what is asked for. Default false. */
  readonly sparse?: boolean
  /** Default true. */
  readonly storeSecretKey?: boolean
  /** Taken and not needed: what is read often is remembered by place, not in entries. */
  readonly storageCacheSize?: number | false
  /** Called with each verified block before it is written; its error refuses the block. */
  readonly onwrite?: LegacyOnWrite | null
  /** 32 bytes by which peers know this process again. Default: random. */
  readonly id?: Uint8Array
  /** False: a feed without signatures, whose key is known once it is finalized. Default true. */
  readonly live?: boolean
  /** The feed must be writable. */
  readonly writable?: boolean
  /** Store blocks that were not asked for too. Default false. */
  readonly allowPush?: boolean
  /** Requests in flight, at most. Default: as many as the link carries. */
  readonly maxRequests?: number
  /** Names of extension messages. */
  readonly extensions?: ReadonlyArray<string>
  /** A sparse feed follows the log's length by itself. Default false. */
  readonly eagerUpdate?: boolean
  /** The blocks are in the data storage already. Default false. */
  readonly indexing?: boolean
  /** Take no lock, and store nothing: another process may be writing. Default false. */
  readonly readOnly?: boolean
  /** False: `feed.stats` is null. Default true. */
  readonly stats?: boolean
  readonly crypto?: LegacyCrypto | null
}

export interface GetOptions {
  readonly wait?: boolean
  /** Milliseconds; 0: as long as it takes. */
  readonly timeout?: number
  readonly valueEncoding?: LegacyEncoding
  /** Fail when no connected peer has it. */
  readonly ifAvailable?: boolean
}

export interface DownloadRange {
  readonly start?: number
  /** Not included; -1 or none: as far as the log goes. */
  readonly end?: number
  readonly linear?: boolean
}

export interface SeekOptions {
  readonly wait?: boolean
  readonly start?: number
  readonly end?: number
  /** False: the block is fetched, too. */
  readonly hash?: boolean
}

export interface UpdateOptions {
  readonly minLength?: number
  /** False: the block that ends the log is fetched, too. */
  readonly hash?: boolean
  readonly ifAvailable?: boolean
}

export interface ClearOptions {
  /** False: only the bits are cleared. */
  readonly delete?: boolean
  /** Taken and not needed: the tree knows. */
  readonly byteOffset?: number
  readonly byteLength?: number
}

export interface ProofOptions {
  readonly digest?: number
  readonly hash?: boolean
  /** Taken and not needed. */
  readonly tree?: unknown
}

export interface ReplicateOptions extends ProtocolOptions {
  /** A protocol stream to share, ours or the real `hypercore-protocol@6`'s. */
  readonly stream?: ProtocolStream
  readonly download?: boolean
  readonly upload?: boolean
  readonly maxRequests?: number
}
