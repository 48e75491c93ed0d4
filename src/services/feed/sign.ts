/** sign: the owner's signature, from wherever the key is. */
import { Effect } from "effect"
import { NotWritable } from "../../domain/Errors.js"
import { SIGNATURE_SIZE } from "../../domain/Sleep.js"
import type { FeedCore } from "./FeedCore.js"

/** The signature of `message`. What is none is not stored: the entries of `signatures` after it would not be found again. */
export const sign = (core: FeedCore, message: Uint8Array): Effect.Effect<Uint8Array, NotWritable> =>
  Effect.flatMap(core.crypto.sign(message, core.secretKey!), (signature) =>
    signature instanceof Uint8Array && signature.length === SIGNATURE_SIZE
      ? Effect.succeed(signature)
      : Effect.fail(
          new NotWritable({
            reason: "signing-failed",
            cause: new TypeError(`a signature is a Uint8Array of ${SIGNATURE_SIZE} bytes`)
          })
        )
  )
