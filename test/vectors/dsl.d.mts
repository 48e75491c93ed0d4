/** A single block; inside a repeat, `{i}` in a text and the seed of a fill follow the number. */
export type OneBlockSpec =
  | { readonly text: string }
  | { readonly hex: string }
  | { readonly fill: { readonly size: number; readonly seed: number } }

export type BlockSpec =
  | OneBlockSpec
  | {
      readonly repeat: {
        readonly count: number
        /** The first number, 0 when absent. */
        readonly from?: number
        readonly block: OneBlockSpec
      }
    }

interface Blocks {
  readonly blocks: ReadonlyArray<BlockSpec>
  /** Blocks an append call; everything in one call when absent. */
  readonly batch?: number
}

export type Operation =
  /** Author only. */
  | ({ readonly op: "append" } & Blocks)
  | { readonly op: "clear"; readonly start: number; readonly end: number }
  /** Close the recorded feed and open it again with the same options. */
  | { readonly op: "reopen" }
  /** Reader only: the feed it downloads from grows. */
  | ({ readonly op: "source-append" } & Blocks)
  /** Reader only: for each index in order, the source's proof for the reader's digest, then a put. */
  | { readonly op: "download"; readonly indices: ReadonlyArray<number> }
  /** Reader only: the same with `hash: true` and without the block. */
  | { readonly op: "download-hash"; readonly indices: ReadonlyArray<number> }

export interface Scenario {
  readonly name: string
  readonly about: string
  /** `author`: the recorded feed has the secret key. `reader`: it has only the public key. */
  readonly kind: "author" | "reader"
  /** 32 bytes, hex: the seed of the (author's, or source's) key pair. */
  readonly seed: string
  /** false: the secret key is given on every open but not to be written. */
  readonly storeSecretKey?: false
  /** The page size in the header of a bitfield file that exists before the feed is created. */
  readonly bitfieldPageSize?: number
  readonly operations: ReadonlyArray<Operation>
}

export interface FileVector {
  readonly size: number
  readonly sha256: string
  /** The whole file, when it has at most 4096 bytes and is not the bitfield. */
  readonly base64?: string
  /**
   * Only of `bitfield`, when few enough: its bytes as runs of `[offset in the file, hex]`; every
   * byte that is in no run is zero.
   */
  readonly nonZero?: ReadonlyArray<readonly [number, string]>
  /**
   * Only of `data`, only in scenarios with a clear: SHA-256 of the file after replacing every byte
   * of a block that the feed does not hold with zero.
   */
  readonly heldSha256?: string
}

export interface FeedState {
  readonly length: number
  readonly byteLength: number
  /** How many blocks the feed holds. */
  readonly have: number
}

export interface DownloadVector {
  readonly index: number
  /** Present for a hash-only download. */
  readonly hash?: true
  /** The reader's digest for the block before the download. */
  readonly digest: number
  /** Positions of the nodes in the source's proof, in the order sent. */
  readonly nodes: ReadonlyArray<number>
  /** Whether the proof carried a signature. */
  readonly signed: boolean
  /** The reader's length after the put. */
  readonly length: number
}

export interface Vector {
  readonly peer: string
  readonly storage: string
  readonly scenario: Scenario
  readonly publicKey: string
  /** What the peer reports after the last operation. */
  readonly state: FeedState
  /** What the peer reports after opening the recorded files again. */
  readonly reopened: FeedState
  /** Reader only: one entry for each download, in order. */
  readonly downloads?: ReadonlyArray<DownloadVector>
  /** `null`: the file does not exist. */
  readonly files: {
    readonly [name in "key" | "secret_key" | "tree" | "signatures" | "bitfield" | "data"]: FileVector | null
  }
}

export declare const pseudoRandomBytes: (size: number, seed: number) => Uint8Array
export declare const expandBlocks: (specs: ReadonlyArray<BlockSpec>) => Array<Uint8Array>
/** One list of blocks for each append call. */
export declare const expandBatches: (operation: Blocks) => Array<Array<Uint8Array>>
