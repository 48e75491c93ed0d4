/**
 * identify: whose feed this is, and that its files are a feed's at all. Reads only: a refusal has touched nothing, whoever's
 * files they are.
 */
import { Effect } from "effect"
import { OLD_PAGE_SIZE, PAGE_SIZE } from "../../domain/BitfieldPages.js"
import { empty, equals } from "../../domain/Bytes.js"
import { CorruptStorage, OpenRefused, type StorageError } from "../../domain/Errors.js"
import * as Identity from "../../domain/Identity.js"
import { ENTRY_SIZE } from "../../domain/Node.js"
import type { FileSizes } from "../../domain/Recovery.js"
import * as Sleep from "../../domain/Sleep.js"
import type { CryptoService } from "../Crypto.js"
import type { FeedFiles } from "../Storage.js"

/** What of `CoreOptions` says whose feed is asked for. */
export interface IdentifyOptions {
  readonly key?: Uint8Array
  readonly secretKey?: Uint8Array
  readonly createIfMissing?: boolean
  readonly openExisting?: boolean
  readonly overwrite?: boolean
  readonly storeSecretKey?: boolean
  readonly static?: boolean
  readonly readOnly?: boolean
  readonly indexing?: boolean
}

export const identify = (
  files: FeedFiles,
  crypto: CryptoService,
  options: IdentifyOptions
): Effect.Effect<Identity.Identity, OpenRefused | CorruptStorage | StorageError> =>
  Effect.gen(function* () {
    const readOnly = options.readOnly === true
    const overwrite = options.overwrite === true && !readOnly
    const { key, secretKey } = yield* readKeys(files, options)
    const sizes = yield* readSizes(files)
    if (!overwrite) yield* checkHeaders(files)
    const identity = yield* Identity.decide(
      {
        key: options.key,
        secretKey: options.secretKey,
        createIfMissing: options.createIfMissing !== false && !readOnly,
        openExisting: options.openExisting !== false,
        overwrite,
        storeSecretKey: options.storeSecretKey !== false,
        static: options.static === true
      },
      {
        key,
        secretKey,
        entries: Math.max(sizes.tree, sizes.signatures, sizes.bitfield) > Sleep.HEADER_SIZE,
        // What is indexed is there before the feed is.
        data: sizes.data > 0 && options.indexing !== true
      }
    )
    yield* checkSecretKey(crypto, identity)
    return identity
  })

/**
 * The sizes, against the order in which a commit writes: while another process appends, each file covers at least what the one
 * before it speaks of.
 */
export const readSizes = (files: FeedFiles): Effect.Effect<FileSizes, StorageError> =>
  Effect.gen(function* () {
    return {
      bitfield: yield* files.size("bitfield"),
      signatures: yield* files.size("signatures"),
      tree: yield* files.size("tree"),
      data: yield* files.size("data")
    }
  })

const readKeys = (files: FeedFiles, options: IdentifyOptions) =>
  Effect.gen(function* () {
    // A byte more than a key has: a longer file is none.
    const [key] = yield* files.read([{ file: "key", offset: 0, length: Sleep.KEY_SIZE + 1 }])
    const readSecret = Effect.map(
      files.read([{ file: "secret_key", offset: 0, length: Sleep.SECRET_KEY_SIZE + 1 }]),
      ([secretKey]) => secretKey!
    )
    if (options.readOnly !== true) return { key: key!, secretKey: yield* readSecret }
    // Who only reads needs the secret key only to find a key that is lost, and may not be allowed to see it.
    const isKnown = key!.length === Sleep.KEY_SIZE || options.key !== undefined
    const secretKey = isKnown ? empty : yield* Effect.orElseSucceed(readSecret, () => empty)
    return { key: key!, secretKey }
  })

const ENTRY_SIZES = {
  tree: [ENTRY_SIZE],
  signatures: [Sleep.SIGNATURE_SIZE],
  bitfield: [PAGE_SIZE, OLD_PAGE_SIZE]
} as const

/** Each of the three files begins as it must, or is the beginning of a header that is still to be written. */
const checkHeaders = (files: FeedFiles): Effect.Effect<void, CorruptStorage | StorageError> =>
  Effect.forEach(
    ["signatures", "tree", "bitfield"] as const,
    (file) =>
      Effect.flatMap(files.read([{ file, offset: 0, length: Sleep.HEADER_SIZE }]), ([bytes]) =>
        isHeader(file, bytes!)
          ? Effect.void
          : Effect.fail(
              new CorruptStorage({
                file,
                detail: `its header is not that of such a file; ${Identity.OR_NOT_OURS}`
              })
            )
      ),
    { discard: true }
  )

const isHeader = (file: Sleep.HeaderedFile, bytes: Uint8Array): boolean => {
  const stated = Sleep.entrySize(file, bytes)
  return ENTRY_SIZES[file].some((size) => size === stated || Sleep.isTornHeader(file, size, bytes))
}

/** The halves of a secret key must belong together: signing with others is useless, and can give the secret away. */
const checkSecretKey = (
  crypto: CryptoService,
  { key, secretKey }: Identity.Identity
): Effect.Effect<void, OpenRefused> => {
  if (secretKey === undefined || key === undefined) return Effect.void
  return Effect.flatMap(crypto.keyPair(secretKey.slice(0, Sleep.KEY_SIZE)), (pair) =>
    equals(pair.publicKey, key)
      ? Effect.void
      : Effect.fail(
          new OpenRefused({
            reason: "wrong-secret-key",
            detail: "the secret key's halves do not belong together"
          })
        )
  )
}
