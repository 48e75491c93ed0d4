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
}

/** The `key` and `secret_key` files' bytes as read (empty when missing), and whether other files of a feed are there. */
export interface StoredIdentity {
  readonly key: Uint8Array
  readonly secretKey: Uint8Array
  readonly otherFiles: boolean
}

export interface Identity {
  /** `undefined`: a new key pair is to be made. */
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

export const decide = (request: IdentityRequest, stored: StoredIdentity): Decision => {
  const { key, secretKey } = request
  if (key !== undefined && key.length !== KEY_SIZE) {
    return refuse("bad-key", `a key has ${KEY_SIZE} bytes, this one has ${key.length}`)
  }
  if (secretKey !== undefined && secretKey.length !== SECRET_KEY_SIZE) {
    return refuse("bad-key", `a secret key has ${SECRET_KEY_SIZE} bytes, this one has ${secretKey.length}`)
  }
  if (key !== undefined && secretKey !== undefined && !equals(key, publicHalf(secretKey))) {
    return refuse("wrong-secret-key", "the secret key is not this key's")
  }
  const wanted = key ?? (secretKey === undefined ? undefined : publicHalf(secretKey))
  if (request.overwrite) return Either.right({ key: wanted, secretKey, action: "overwrite" })
  return decideStored(request, stored, wanted)
}

const decideStored = (
  request: IdentityRequest,
  stored: StoredIdentity,
  wanted: Uint8Array | undefined
): Decision => {
  const tornKey = stored.key.length > 0 && stored.key.length < KEY_SIZE
  const tornSecret = stored.secretKey.length > 0 && stored.secretKey.length < SECRET_KEY_SIZE
  if (!stored.otherFiles && ((tornKey && !tornSecret) || (tornSecret && stored.key.length === 0))) {
    // A creation that was cut off while it wrote its keys (the secret one first): nothing was ever acknowledged.
    const empty = new Uint8Array(0)
    const secret = tornSecret ? empty : stored.secretKey
    return decideStored(request, { ...stored, key: empty, secretKey: secret }, wanted)
  }
  if (stored.secretKey.length > 0 && stored.secretKey.length < SECRET_KEY_SIZE) {
    return corrupt("secret_key", `it has ${stored.secretKey.length} bytes instead of ${SECRET_KEY_SIZE}`)
  }
  if (stored.key.length > 0 && stored.key.length < KEY_SIZE) {
    return corrupt("key", `it has ${stored.key.length} bytes instead of ${KEY_SIZE}`)
  }
  const storedSecret = stored.secretKey.length === 0 ? undefined : stored.secretKey
  // A creation that was cut off leaves the secret key first: its public half is the key.
  const storedKey = stored.key.length > 0 ? stored.key : storedSecret && publicHalf(storedSecret)
  if (storedKey === undefined) {
    if (stored.otherFiles) {
      if (!request.openExisting) return refuse("exists", "files of a feed are stored here already")
      return wanted === undefined
        ? corrupt("key", "it is missing, though other files of a feed are there; give the key to open them")
        : Either.right({ key: wanted, secretKey: request.secretKey, action: "open" })
    }
    return request.createIfMissing
      ? Either.right({ key: wanted, secretKey: request.secretKey, action: "create" })
      : refuse("missing", "no feed is stored here")
  }
  // One that was cut off after its secret key was never acknowledged: it is finished.
  const isCutOff = stored.key.length === 0 && !stored.otherFiles
  if (!request.openExisting && !isCutOff)
    return refuse("exists", `a feed is stored here already: ${toHex(storedKey)}`)
  if (wanted !== undefined && !equals(wanted, storedKey)) {
    return refuse("other-key", `another feed is stored here: ${toHex(storedKey)}`)
  }
  if (storedSecret !== undefined && !equals(publicHalf(storedSecret), storedKey)) {
    return corrupt("secret_key", "it does not belong to the key that is stored beside it")
  }
  return Either.right({ key: storedKey, secretKey: request.secretKey ?? storedSecret, action: "open" })
}
