/** open: who this feed is, then its files, then what they prove. Nothing is touched before it is known that it may be. */
import { Deferred, Effect, ExecutionStrategy, Exit, Scope } from "effect"
import { Bitfield } from "../../domain/Bitfield.js"
import { BitfieldPages, PAGE_SIZE } from "../../domain/BitfieldPages.js"
import { empty } from "../../domain/Bytes.js"
import * as Change from "../../domain/Change.js"
import { CorruptStorage, type FeedClosed, OpenRefused, type StorageError } from "../../domain/Errors.js"
import type { Evidence } from "../../domain/Evidence.js"
import { FEED_PATH_RULE, isFeedPath } from "../../domain/FeedPath.js"
import * as Hash from "../../domain/Hash.js"
import type * as Identity from "../../domain/Identity.js"
import * as Merkle from "../../domain/Merkle.js"
import { ENTRY_SIZE } from "../../domain/Node.js"
import { Offsets } from "../../domain/Offsets.js"
import { type FileSizes, isLengthLost } from "../../domain/Recovery.js"
import { everything } from "../../domain/Selection.js"
import * as Sleep from "../../domain/Sleep.js"
import { Crypto } from "../Crypto.js"
import { type FeedFiles, Storage } from "../Storage.js"
import { AppendQueue } from "./AppendQueue.js"
import { Availability } from "./Availability.js"
import { close } from "./close.js"
import { commit } from "./commit.js"
import { Demand } from "./Demand.js"
import { type Durability, type FeedCore, type OnWrite, type SignedLength } from "./FeedCore.js"
import { shownBy } from "./fork.js"
import { identify, readSizes } from "./identify.js"
import { recover } from "./recover.js"
import { WriteLock } from "./WriteLock.js"
import { wholeReads } from "./wholeReads.js"

export interface CoreOptions {
  /** Where the feed is in the storage: segments joined by `/`. Default: its root. */
  readonly path?: string
  /** The 32-byte public key: of the feed to read, or that the stored one must have. */
  readonly key?: Uint8Array
  /** The 64-byte secret key (seed, then public key), when it is not stored or a feed is made for it. */
  readonly secretKey?: Uint8Array
  /** Make a feed where none is stored (the default), or fail with `OpenRefused`. */
  readonly createIfMissing?: boolean
  /** Open a feed that is stored (the default), or fail with `OpenRefused`: of many who create one, one succeeds. */
  readonly openExisting?: boolean
  /** Drop what is stored and start an empty feed: with a new key pair, unless keys are given. Default false. */
  readonly overwrite?: boolean
  /**
   * Store the secret key beside the feed (the default). Else it is to be given at each opening that appends; where a new key
   * pair would be made the opening is refused, because nobody would ever have its secret key.
   */
  readonly storeSecretKey?: boolean
  /**
   * Make a static feed, where a new key pair would be made: it has no key, and nothing is signed, until `finalize` makes its key of its
   * content and ends its writing. One that is left before that cannot be opened again. Default false.
   */
  readonly static?: boolean
  /**
   * The `data` file is somebody else's, who has written the bytes of each block there before it is appended: an append stores all but
   * those, and `clear` and `overwrite` leave them. Default false.
   */
  readonly indexing?: boolean
  /** Download only what is asked for. Default false. */
  readonly sparse?: boolean
  /** Take no lock and store nothing; another process may be writing. Default false. */
  readonly readOnly?: boolean
  /** What the end of an append, put or clear promises. Default `process`. */
  readonly durability?: Durability
  /** Called with each verified block before it is written; its failure refuses the write. */
  readonly onwrite?: OnWrite
  /**
   * What showed that the key has signed two histories, from an event of an earlier time: the feed knows it from the start. Refused when it
   * does not show that.
   */
  readonly fork?: Evidence
  /** Asked before each signature of an append is stored: keeps a stale writer, or a second one, from signing. Default: none is asked. */
  readonly signedLength?: SignedLength
}

export type OpenError = OpenRefused | CorruptStorage | StorageError

/**
 * Opens the feed's insides, which are closed with `close`, or with the scope given. Recovery can take long: it can be interrupted, and
 * cleans up after itself until the feed is handed over.
 */
export const openCore = (
  options: CoreOptions
): Effect.Effect<FeedCore, OpenError, Crypto | Storage | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      // Sequential whatever the outer scope is: a feed stores what it has before its files are closed.
      const lifetime = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
      const core = yield* restore(openIn(options, lifetime)).pipe(
        Effect.onError((cause) => Scope.close(lifetime, Exit.failCause(cause)))
      )
      yield* Scope.addFinalizer(lifetime, Effect.ignoreLogged(close(core)))
      return core
    })
  )

const openIn = (options: CoreOptions, lifetime: Scope.CloseableScope) =>
  Effect.gen(function* () {
    const storage = yield* Storage
    const crypto = yield* Crypto
    const path = options.path ?? ""
    if (!isFeedPath(path)) return yield* new OpenRefused({ reason: "bad-path", detail: FEED_PATH_RULE })
    const scope = yield* Scope.fork(lifetime, ExecutionStrategy.sequential)
    const files = wholeReads(yield* Scope.extend(storage.open(path), scope))
    let identity = yield* identify(files, crypto, options)
    if (options.readOnly !== true) {
      yield* files.lock
      // Whoever held the lock before may have made or changed the feed meanwhile.
      identity = yield* identify(files, crypto, options)
    }
    return yield* openFiles({ options, files, crypto, lifetime, scope, identity })
  })

/** What the files of a feed that was opened read-only say now, as a feed of its own; it has nothing to close. */
export const lookAgain = (core: FeedCore): Effect.Effect<FeedCore, OpenError> =>
  Effect.gen(function* () {
    const { crypto, files, lifetime, scope } = core
    const options = { key: core.key, readOnly: true, sparse: true }
    const identity = yield* identify(files, crypto, options)
    return yield* openFiles({ options, files, crypto, lifetime, scope, identity })
  })

interface Opening {
  readonly options: CoreOptions
  readonly files: FeedFiles
  readonly crypto: Crypto["Type"]
  readonly lifetime: Scope.CloseableScope
  readonly scope: Scope.CloseableScope
  readonly identity: Identity.Identity
}

const openFiles = (opening: Opening): Effect.Effect<FeedCore, OpenError> =>
  Effect.gen(function* () {
    const { files, identity } = opening
    const keys = yield* keysOf(opening)
    if (identity.action === "overwrite") yield* wipe(files, opening.options.indexing === true)
    const bitfieldSize = yield* files.size("bitfield")
    const pages = yield* readBitfield(files, bitfieldSize)
    const sizes = { ...(yield* readSizes(files)), bitfield: bitfieldSize }
    const core = yield* makeCore(opening, keys, new Bitfield(pages))
    if (core.secretKey !== undefined && !core.readOnly && isLengthLost(sizes)) return yield* lengthLost
    if (!core.readOnly) yield* setUp(core, opening.options, sizes)
    const { key, secretKey } = opening.options
    yield* recover(core, sizes, (key ?? secretKey ?? core.secretKey) !== undefined)
    core.settled = core.tip
    // Whoever wrote before may have promised less: what is built on must be as durable as what follows.
    if (core.durability === "power" && !core.readOnly) yield* files.sync(Sleep.FILES)
    if (opening.options.fork !== undefined) core.fork = yield* shownBy(core, opening.options.fork)
    if (!core.sparse) core.demand.select(everything)
    return core
  })

/** To write on from nothing would sign a second history. */
const lengthLost = Effect.suspend(
  () =>
    new CorruptStorage({
      file: "signatures",
      detail:
        "the signatures and the bitfield are gone, and with them how long the log is: restore them, repair the feed, or open it read-only"
    })
)

interface Keys {
  readonly publicKey: Uint8Array
  readonly secretKey: Uint8Array | undefined
}

const keysOf = ({ crypto, identity, options }: Opening): Effect.Effect<Keys> => {
  const { key, secretKey } = identity
  if (key !== undefined) return Effect.succeed({ publicKey: key, secretKey })
  return options.static === true
    ? Effect.succeed({ publicKey: empty, secretKey: undefined })
    : crypto.keyPair()
}

/** The insides of a feed that has these keys and bits; what its log is, is still to be found out. */
export const makeCore = (
  { options, files, crypto, lifetime, scope }: Omit<Opening, "identity">,
  keys: Keys,
  bitfield: Bitfield
): Effect.Effect<FeedCore> =>
  Effect.gen(function* () {
    return {
      // Copies: the caller may wipe a secret key once the feed is open.
      key: Uint8Array.from(keys.publicKey),
      discoveryKey:
        keys.publicKey.length === 0 ? empty : Hash.discoveryKey(crypto.blake2b256, keys.publicKey),
      secretKey: keys.secretKey && Uint8Array.from(keys.secretKey),
      readOnly: options.readOnly === true,
      sparse: options.sparse === true,
      indexing: options.indexing === true,
      durability: options.durability ?? "process",
      onwrite: options.onwrite,
      signedLength: options.signedLength,
      crypto,
      files,
      bitfield,
      offsets: new Offsets(bitfield),
      demand: new Demand(bitfield),
      availability: new Availability(),
      listeners: new Set(),
      originListeners: 0,
      runtime: yield* Effect.runtime(),
      lifetime,
      scope,
      writer: new WriteLock(),
      appends: new AppendQueue(),
      tip: Merkle.emptyTip,
      claimedLength: 0,
      settled: Merkle.emptyTip,
      contiguous: 0,
      unstored: [],
      lost: [],
      closed: false,
      closing: yield* Deferred.make<never, FeedClosed>(),
      broken: undefined,
      fork: undefined,
      stale: undefined,
      lastSignature: undefined
    }
  })

/** Empties every file, the old secret key first: from then on nothing can be signed for the old feed. What is only indexed stays. */
const wipe = (files: FeedFiles, indexing: boolean): Effect.Effect<void, StorageError> =>
  Effect.forEach(
    [
      "secret_key",
      "key",
      "signatures",
      "bitfield",
      "tree",
      ...(indexing ? [] : (["data"] as const))
    ] as const,
    (file) => files.truncate(file, 0),
    { discard: true }
  )

/** Read at a time, 458 KB: a sparse feed's bitfield can be mostly holes, which must not take memory. */
const PIECE_PAGES = 128

/** The bitfield's pages; `identify` has seen to its header, unless it is told how large they are. */
export const readBitfield = (
  files: FeedFiles,
  size: number,
  pageSize?: number
): Effect.Effect<BitfieldPages, StorageError> =>
  Effect.gen(function* () {
    const [header] = yield* files.read([{ file: "bitfield", offset: 0, length: Sleep.HEADER_SIZE }])
    const pages = new BitfieldPages(pageSize ?? Sleep.entrySize("bitfield", header!) ?? PAGE_SIZE)
    const piece = PIECE_PAGES * pages.pageSize
    for (let start = 0; Sleep.HEADER_SIZE + start < size; start += piece) {
      const offset = Sleep.HEADER_SIZE + start
      const [bytes] = yield* files.read([
        { file: "bitfield", offset, length: Math.min(piece, size - offset) }
      ])
      pages.load(bytes!, start / pages.pageSize)
    }
    return pages
  })

/** Stores what is missing of keys and headers. The secret key goes first: a key without it could never be written to. */
const setUp = (core: FeedCore, options: CoreOptions, sizes: FileSizes): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const { files, secretKey } = core
    const isMissing =
      options.storeSecretKey !== false && (yield* files.size("secret_key")) < Sleep.SECRET_KEY_SIZE
    const secret: Array<Change.Write> =
      secretKey !== undefined && isMissing ? [{ file: "secret_key", offset: 0, parts: [secretKey] }] : []
    const rest = yield* missingParts(core, sizes)
    // A loss of power keeps to no order; and whoever stored a secret key before may have been killed before it was there for good.
    const isBuilt = core.durability === "power" && secret.length === 0 && rest.length > 0
    if (isBuilt) yield* files.sync(["secret_key"])
    const steps = core.durability === "power" && secret.length > 0 ? [secret, rest] : [[...secret, ...rest]]
    yield* Effect.forEach(steps, (writes) => commit(core, { ...Change.none, writes }), {
      discard: true
    }).pipe(Effect.tapError(() => (secret.length > 0 ? Effect.ignore(dropHalfSecret(files)) : Effect.void)))
  })

/** Half a secret key would be taken for a stranger's file. */
const dropHalfSecret = (files: FeedFiles): Effect.Effect<void, StorageError> =>
  Effect.flatMap(files.size("secret_key"), (size) =>
    size < Sleep.SECRET_KEY_SIZE ? files.truncate("secret_key", 0) : Effect.void
  )

const missingParts = (core: FeedCore, sizes: FileSizes) =>
  Effect.gen(function* () {
    const writes: Array<Change.Write> = []
    if (core.key.length > 0 && (yield* core.files.size("key")) < Sleep.KEY_SIZE)
      writes.push({ file: "key", offset: 0, parts: [core.key] })
    const entrySizes = {
      signatures: Sleep.SIGNATURE_SIZE,
      tree: ENTRY_SIZE,
      bitfield: core.bitfield.pages.pageSize
    }
    for (const file of ["signatures", "tree", "bitfield"] as const) {
      if (sizes[file] < Sleep.HEADER_SIZE) {
        writes.push({ file, offset: 0, parts: [Sleep.header(file, entrySizes[file])] })
      }
    }
    return writes
  })
