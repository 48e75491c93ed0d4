/**
 * Whose feed this is: what is stored under `key` and `secret_key`, against what the caller asks for. Pure: decides before
 * anything is touched.
 */
import { Either } from "effect"
import { equals, toHex } from "./Bytes.js"
import { CorruptStorage, OpenRefused } from "./Errors.js"
import { KEY_SIZE, SECRET_KEY_SIZE } from "./Sleep.js"

export interface IdentityRequest {
  readonly key: Uint8Array | undefined
  readonly secretKey: Uint8Array | undefined
  readonly createIfMissing: boolean
  readonly openExisting: boolean
  readonly overwrite: boolean
  readonly storeSecretKey: boolean
  /** Where a new key pair would be made, none is. */
  readonly static: boolean
}

/** The `key` and `secret_key` files' bytes as read (empty when missing), and what else is there. */
export interface StoredIdentity {
  /** A longer file is read for one byte more than a key has: it is none. */
  readonly key: Uint8Array
  readonly secretKey: Uint8Array
  /** Whether there are entries under the header of a feed's `tree`, `signatures` or `bitfield`. */
  readonly entries: boolean
  /** Whether there are bytes in `data`, which has no header to tell it from a stranger's. */
  readonly data: boolean
}

export interface Identity {
  /** `undefined`: a new key pair is to be made; none for a static feed, which gets its key when it is finalized. */
  readonly key: Uint8Array | undefined
  readonly secretKey: Uint8Array | undefined
  /** The directory holds this feed already, or a new one is made (over what is there, with `overwrite`). */
  readonly action: "open" | "create" | "overwrite"
}

/** The public half of a 64-byte secret key. */
export const publicHalf = (secretKey: Uint8Array): Uint8Array =>
  secretKey.subarray(SECRET_KEY_SIZE - KEY_SIZE)

type Decision = Either.Either<Identity, OpenRefused | CorruptStorage>

const refuse = (reason: OpenRefused["reason"], detail: string): Decision =>
  Either.left(new OpenRefused({ reason, detail }))

const corrupt = (file: string, detail: string): Decision => Either.left(new CorruptStorage({ file, detail }))

/** A caller without types may give a string, of which each letter would be a byte 0. */
const notAKey = (what: string, size: number, key: unknown): string | undefined => {
  if (key === undefined) return undefined
  if (!(key instanceof Uint8Array)) return `${what} is ${size} bytes in a Uint8Array, not ${typeof key}`
  return key.length === size ? undefined : `${what} has ${size} bytes, this one has ${key.length}`
}

export const decide = (request: IdentityRequest, stored: StoredIdentity): Decision => {
  const { key, secretKey } = request
  const problem = notAKey("a key", KEY_SIZE, key) ?? notAKey("a secret key", SECRET_KEY_SIZE, secretKey)
  if (problem !== undefined) return refuse("bad-key", problem)
  if (key !== undefined && secretKey !== undefined && !equals(key, publicHalf(secretKey))) {
    return refuse("wrong-secret-key", "the secret key is not this key's")
  }
  const wanted = key ?? (secretKey === undefined ? undefined : publicHalf(secretKey))
  return Either.flatMap(
    request.overwrite
      ? Either.right<Identity>({ key: wanted, secretKey, action: "overwrite" })
      : decideStored(request, stored, wanted),
    (identity) =>
      identity.key === undefined && !request.storeSecretKey && !request.static
        ? refuse("lost-key", "a new secret key that is not stored would be lost: give one")
        : Either.right(identity)
  )
}

export const OR_NOT_OURS = "if it is something else's, choose another directory"

/**
 * A key file that is too short is what a creation that was cut off left behind, when it is the beginning of the key that it
 * would be. Any other may be a stranger's, and is not touched.
 */
const isTorn = (bytes: Uint8Array, whole: Uint8Array | undefined): boolean =>
  whole !== undefined && bytes.length < whole.length && equals(bytes, whole.subarray(0, bytes.length))

/** The bytes of a stored key file, or `undefined` when they are to be written; refused when they are no key. */
const wholeKey = (
  file: "key" | "secret_key",
  bytes: Uint8Array,
  size: number,
  expected: Uint8Array | undefined
): Either.Either<Uint8Array | undefined, CorruptStorage> => {
  if (bytes.length === size) return Either.right(bytes)
  if (bytes.length === 0 || isTorn(bytes, expected)) return Either.right(undefined)
  const has = bytes.length > size ? `more than ${size} bytes` : `${bytes.length} bytes instead of ${size}`
  const advice = `if it is left of a feed that was cut off while it was made, remove it; ${OR_NOT_OURS}`
  return Either.left(new CorruptStorage({ file, detail: `it has ${has}; ${advice}` }))
}

const decideStored = (
  request: IdentityRequest,
  stored: StoredIdentity,
  wanted: Uint8Array | undefined
): Decision => {
  const secret = wholeKey("secret_key", stored.secretKey, SECRET_KEY_SIZE, request.secretKey)
  if (Either.isLeft(secret)) return Either.left(secret.left)
  const storedSecret = secret.right
  // A creation that was cut off leaves the secret key first: its public half is the key.
  const secretsKey = storedSecret && publicHalf(storedSecret)
  const whole = wholeKey("key", stored.key, KEY_SIZE, secretsKey ?? wanted)
  if (Either.isLeft(whole)) return Either.left(whole.left)
  const storedKey = whole.right ?? secretsKey
  if (storedKey === undefined) return decideKeyless(request, stored, wanted)
  // One that was cut off after its secret key was never acknowledged: it is finished.
  const isCutOff = whole.right === undefined && !stored.entries && !stored.data
  if (!request.openExisting && !isCutOff) {
    return refuse("exists", `a feed is stored here already: ${toHex(storedKey)}`)
  }
  if (wanted !== undefined && !equals(wanted, storedKey)) {
    return refuse("other-key", `another feed is stored here: ${toHex(storedKey)}`)
  }
  if (secretsKey !== undefined && !equals(secretsKey, storedKey)) {
    return corrupt("secret_key", "it does not belong to the key that is stored beside it")
  }
  return Either.right({ key: storedKey, secretKey: request.secretKey ?? storedSecret, action: "open" })
}

/** No key is stored: there is no feed yet, or its keys are lost. */
const decideKeyless = (
  request: IdentityRequest,
  stored: StoredIdentity,
  wanted: Uint8Array | undefined
): Decision => {
  const { secretKey } = request
  if (stored.entries) {
    if (!request.openExisting) return refuse("exists", "files of a feed are stored here already")
    return wanted === undefined
      ? corrupt("key", "it is missing, though other files of a feed are there; give the key to open them")
      : Either.right({ key: wanted, secretKey, action: "open" })
  }
  if (!request.createIfMissing) return refuse("missing", "no feed is stored here")
  return stored.data
    ? corrupt("data", `it is there without the other files of a feed; ${OR_NOT_OURS}`)
    : Either.right({ key: wanted, secretKey, action: "create" })
}
