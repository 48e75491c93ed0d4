/** repairKeys: whose feed damaged files may be, and what is left of its secret key. */
import { Effect } from "effect"
import { equals, isBlank } from "../../domain/Bytes.js"
import { OpenRefused, type StorageError } from "../../domain/Errors.js"
import * as Identity from "../../domain/Identity.js"
import * as Sleep from "../../domain/Sleep.js"
import type { CryptoService } from "../Crypto.js"
import type { FeedFiles } from "../Storage.js"

export interface GivenKeys {
  readonly key?: Uint8Array
  readonly secretKey?: Uint8Array
}

export interface FoundKeys {
  /** The keys that it may be, the likeliest first. */
  readonly keys: ReadonlyArray<Uint8Array>
  /** The files' bytes; of longer ones, a byte more than a key has. */
  readonly stored: { readonly key: Uint8Array; readonly secretKey: Uint8Array }
}

/**
 * What became of the stored secret key: there is none; it is this key's; it was, and can be had again (by its seed, or as it was given); or
 * it is damaged, or another's.
 */
export type SecretKeyState = "none" | "sound" | "mended" | "damaged"

export interface FoundSecretKey {
  readonly state: SecretKeyState
  /** 64 bytes, unless there is none or it is damaged. */
  readonly secretKey: Uint8Array | undefined
}

const refuse = (reason: OpenRefused["reason"], detail: string) =>
  Effect.fail(new OpenRefused({ reason, detail }))

/** Reads only. Fails where none is stored and none given. */
export const findKeys = (
  files: FeedFiles,
  crypto: CryptoService,
  given: GivenKeys
): Effect.Effect<FoundKeys, OpenRefused | StorageError> =>
  Effect.gen(function* () {
    if (given.key !== undefined && given.key.length !== Sleep.KEY_SIZE) {
      return yield* refuse("bad-key", `a key has ${Sleep.KEY_SIZE} bytes`)
    }
    if (given.secretKey !== undefined && given.secretKey.length !== Sleep.SECRET_KEY_SIZE) {
      return yield* refuse("bad-key", `a secret key has ${Sleep.SECRET_KEY_SIZE} bytes`)
    }
    const [key, secretKey] = yield* files.read([
      { file: "key", offset: 0, length: Sleep.KEY_SIZE + 1 },
      { file: "secret_key", offset: 0, length: Sleep.SECRET_KEY_SIZE + 1 }
    ])
    const stored = { key: key!, secretKey: secretKey! }
    const wanted = given.key ?? (given.secretKey && Identity.publicHalf(given.secretKey))
    // Whoever says which feed it is means no other.
    const keys = wanted === undefined ? yield* storedKeys(crypto, stored) : [wanted]
    if (keys.length > 0) return { keys, stored }
    const entries = Math.max(yield* files.size("tree"), yield* files.size("signatures"))
    return yield* entries === 0 && key!.length === 0 && secretKey!.length === 0
      ? refuse("missing", "no feed is stored here")
      : refuse("lost-key", "the feed's key is lost: give it")
  })

/** Of the `key` file; of the secret key's seed, which is the half that cannot be derived; and of its other half. */
const storedKeys = (crypto: CryptoService, { key, secretKey }: FoundKeys["stored"]) =>
  Effect.gen(function* () {
    const keys: Array<Uint8Array> = []
    const add = (one: Uint8Array) => {
      if (!isBlank(one) && !keys.some((other) => equals(one, other))) keys.push(one)
    }
    if (key.length === Sleep.KEY_SIZE) add(key)
    if (secretKey.length >= Sleep.KEY_SIZE && secretKey.length <= Sleep.SECRET_KEY_SIZE) {
      add((yield* crypto.keyPair(secretKey.slice(0, Sleep.KEY_SIZE))).publicKey)
    }
    if (secretKey.length === Sleep.SECRET_KEY_SIZE) add(Identity.publicHalf(secretKey))
    return keys
  })

/** Of the feed with this key. */
export const findSecretKey = (
  crypto: CryptoService,
  key: Uint8Array,
  stored: Uint8Array,
  given: Uint8Array | undefined
): Effect.Effect<FoundSecretKey> =>
  Effect.gen(function* () {
    const pairOf = (secretKey: Uint8Array) => crypto.keyPair(secretKey.slice(0, Sleep.KEY_SIZE))
    for (const secretKey of [stored, given]) {
      if (secretKey === undefined || secretKey.length < Sleep.KEY_SIZE) continue
      const pair = yield* pairOf(secretKey)
      if (!equals(pair.publicKey, key)) continue
      const isAsStored = stored.length === 0 || equals(stored, pair.secretKey)
      return { state: isAsStored ? "sound" : "mended", secretKey: pair.secretKey }
    }
    return { state: stored.length === 0 ? "none" : "damaged", secretKey: undefined }
  })
