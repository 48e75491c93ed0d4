/** Fork: what shows that a key has signed two histories, to be checked by anyone, stored or sent. */
import { Effect, Either } from "effect"
import { BadArgument } from "../domain/Errors.js"
import * as Evidence from "../domain/Evidence.js"
import { Crypto, type CryptoService } from "./Crypto.js"

export type { Evidence, Hashed, SignedLog } from "../domain/Evidence.js"
/** The bytes of evidence. Throws `BadArgument` for what has not the form of it, such as lengths that are none. */
export const encode = (evidence: Evidence.Evidence): Uint8Array => {
  if (Evidence.isEvidence(evidence)) return Evidence.encode(evidence)
  throw new BadArgument({ operation: "Fork.encode", detail: "it is no evidence of a fork" })
}
/** Evidence as a string of base64, for JSON. */
export const schema = Evidence.schema

/** The evidence that `encode` gave. It shows something only if `verify` says so. */
export const decode = (bytes: Uint8Array): Either.Either<Evidence.Evidence, BadArgument> =>
  Either.mapLeft(Evidence.decode(bytes), (detail) => new BadArgument({ operation: "Fork.decode", detail }))

/** Whether `key` signed both logs of the evidence, and they contradict each other. */
export const verify = (evidence: Evidence.Evidence, key: Uint8Array): Effect.Effect<boolean, never, Crypto> =>
  Effect.flatMap(Crypto, (crypto) => verifyWith(crypto, evidence, key))

/** The same with a crypto at hand. */
export const verifyWith = (
  crypto: CryptoService,
  evidence: Evidence.Evidence,
  key: Uint8Array
): Effect.Effect<boolean> =>
  Effect.suspend(() =>
    Evidence.contradicts(crypto.blake2b256, evidence)
      ? Effect.every(evidence.logs, (log) =>
          crypto.verify(Evidence.rootHash(crypto.blake2b256, log), log.signature, key)
        )
      : Effect.succeed(false)
  )
