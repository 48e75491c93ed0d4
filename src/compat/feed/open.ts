/** open: the Effect feed behind a façade, from the arguments that the peer's constructor takes. */
import { Cause, Effect, Exit } from "effect"
import {
  Crypto,
  type CryptoService,
  Feed,
  type FeedFiles,
  NotWritable,
  type OpenRefused,
  Storage,
  type StorageService
} from "../../index.js"
import * as StorageFile from "../../layers/StorageFile.js"
import * as StorageRandomAccess from "../../layers/StorageRandomAccess.js"
import { crypto } from "../crypto.js"
import type { LegacyPeer } from "../replication/LegacyPeer.js"
import { toBuffer } from "../toBuffer.js"
import { openedOnce } from "./openedOnce.js"

/** A directory, or what gives a random-access-storage instance for each file name. */
export type CreateStorage = string | ((name: string) => StorageRandomAccess.RandomAccessStorage)

/** Signs and verifies in the feed's stead, by callbacks. */
export interface LegacyCrypto {
  readonly sign: (
    data: Buffer,
    secretKey: Buffer | null,
    callback: (error: Error | null, signature?: Uint8Array) => void
  ) => void
  /** In this order, as the peer calls it; its documents have the first two the other way round. */
  readonly verify: (
    data: Buffer,
    signature: Buffer,
    key: Buffer,
    callback: (error: Error | null, valid?: boolean) => void
  ) => void
}

/** `data`: the value of a block that is appended, the bytes of one that came from a peer. */
export type LegacyOnWrite = (
  index: number,
  // The values of a feed may be anything, and hooks say what they take.
  // oxlint-disable-next-line typescript/no-explicit-any
  data: any,
  peer: LegacyPeer | null,
  callback: (error?: Error | null) => void
) => void

export interface OpenRequest {
  readonly storage: CreateStorage
  readonly key: Uint8Array | undefined
  readonly secretKey: Uint8Array | undefined
  readonly createIfMissing: boolean
  readonly overwrite: boolean
  readonly storeSecretKey: boolean
  readonly sparse: boolean
  readonly live: boolean
  readonly indexing: boolean
  readonly readOnly: boolean
  readonly crypto: LegacyCrypto | undefined
  readonly onwrite: LegacyOnWrite | undefined
  readonly peerOf: (from: unknown) => LegacyPeer | null
  /** Given the files of a directory, once they are open. */
  readonly onFiles: (files: FeedFiles) => void
  /** What a block is shown to the hook as. */
  readonly valueOf: (block: Uint8Array) => unknown
}

const signFailed = (cause: unknown) => new NotWritable({ reason: "signing-failed", cause })

const withLegacy = (own: CryptoService, { sign, verify }: LegacyCrypto): CryptoService => ({
  ...own,
  name: "legacy callbacks",
  sign: (message, secretKey) =>
    Effect.async((resume) => {
      try {
        sign(toBuffer(message), toBuffer(secretKey), (error, signature) => {
          if (signature instanceof Uint8Array) resume(Effect.succeed(signature))
          else resume(Effect.fail(signFailed(error ?? new Error("the crypto option gave no signature"))))
        })
      } catch (error) {
        resume(Effect.fail(signFailed(error)))
      }
    }),
  verify: (message, signature, publicKey) =>
    Effect.async((resume) => {
      try {
        verify(toBuffer(message), toBuffer(signature), toBuffer(publicKey), (error, valid) =>
          resume(Effect.succeed(!error && valid === true))
        )
      } catch {
        resume(Effect.succeed(false))
      }
    })
})

const toOnWrite =
  (onwrite: LegacyOnWrite, { peerOf, valueOf }: OpenRequest): Feed.OnWrite =>
  (index, block, from) =>
    Effect.async<void, unknown>((resume) => {
      try {
        onwrite(index, valueOf(block), peerOf(from), (error) =>
          resume(error ? Effect.fail(error) : Effect.void)
        )
      } catch (error) {
        resume(Effect.fail(error))
      }
    })

const storageOf = ({ onFiles, storage }: OpenRequest): Effect.Effect<StorageService> =>
  typeof storage === "string"
    ? Effect.map(StorageFile.make({ directory: storage }), ({ open }) => ({
        open: (path) => Effect.tap(open(path), (files) => onFiles(files))
      }))
    : Effect.succeed(StorageRandomAccess.make({ create: (name) => storage(name) }))

const openWith = (
  request: OpenRequest,
  service: CryptoService,
  keys: Pick<OpenRequest, "key" | "secretKey">
) => {
  const { key, secretKey } = keys
  return Feed.open({
    ...(key === undefined ? {} : { key }),
    ...(secretKey === undefined ? {} : { secretKey }),
    ...(request.onwrite === undefined ? {} : { onwrite: toOnWrite(request.onwrite, request) }),
    createIfMissing: request.createIfMissing,
    overwrite: request.overwrite,
    storeSecretKey: request.storeSecretKey,
    sparse: request.sparse,
    static: !request.live,
    indexing: request.indexing,
    readOnly: request.readOnly
  }).pipe(Effect.provideService(Crypto, service))
}

const isLost = (error: unknown): error is OpenRefused =>
  typeof error === "object" && error !== null && (error as OpenRefused).reason === "lost-key"

/**
 * Opens the feed in the scope; a key pair that the caller does not want stored is made, for `feed.secretKey` to tell it. The services come
 * without layers: to build these for each feed takes a good part of what opening it does.
 */
export const open = (request: OpenRequest) =>
  Effect.flatMap(storageOf(request), (storage) => {
    const own = crypto()
    const service = request.crypto === undefined ? own : withLegacy(own, request.crypto)
    if (request.storeSecretKey) {
      return Effect.provideService(openWith(request, service, request), Storage, storage)
    }
    const once = openedOnce(storage, (exit) => Exit.isFailure(exit) && isLost(Cause.squash(exit.cause)))
    return openWith(request, service, request).pipe(
      Effect.catchIf(isLost, () =>
        Effect.flatMap(own.keyPair(), ({ publicKey, secretKey }) =>
          openWith(request, service, { key: publicKey, secretKey })
        )
      ),
      Effect.provideService(Storage, once)
    )
  })
