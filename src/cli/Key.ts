/** Keys as users give them: a public key in hexadecimal, a secret key in a file. */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as FileSystem from "@effect/platform/FileSystem"
import { Effect, Either, Option } from "effect"
import { Crypto, fromHex } from "../index.js"
import { CryptoNode } from "../node.js"
import { type CommandFailed, failed } from "./Failure.js"
import { readingFailed } from "./Input.js"
import * as Parser from "./Parser.js"

const KEY_SIZE = 32
const SECRET_KEY_SIZE = 64

const parsePublicKey: Parser.Parser<Uint8Array> = (text) => {
  const bytes = fromHex(text)
  if (bytes === undefined && !/^[0-9a-f]*$/i.test(text)) return Either.left(`'${text}' is not hexadecimal`)
  return bytes?.length === KEY_SIZE
    ? Either.right(bytes)
    : Either.left(`a key has ${2 * KEY_SIZE} hexadecimal digits, not ${text.length}`)
}

/** `--key`: 64 hexadecimal digits. */
export const publicKey = Options.text("key").pipe(
  Options.withPseudoName("hex"),
  Options.mapEffect(Parser.forOption("key", parsePublicKey)),
  Options.optional
)

/** `--key` of a feed that is stored, as what opening takes. */
export const ofStored = publicKey.pipe(
  Options.withDescription(
    "The feed's key: for when the file that holds it is lost, or to be sure which feed it is."
  ),
  Options.map(Option.match({ onNone: () => ({}), onSome: (key) => ({ key }) }))
)

/** `<key>`: 64 hexadecimal digits. */
export const publicKeyArgument = Args.text({ name: "key" }).pipe(
  Args.withDescription("The feed's key: 64 hexadecimal digits."),
  Args.mapEffect(Parser.forArgument(parsePublicKey))
)

/** `--secret-key-file`: its name. */
export const secretKeyFile = Options.file("secret-key-file", { exists: "either" }).pipe(Options.optional)

/** The secret key in a file: 64 bytes (seed, then public key), or as many in hexadecimal. */
export const readSecretKey = (
  file: Option.Option<string>
): Effect.Effect<Option.Option<Uint8Array>, CommandFailed, FileSystem.FileSystem> =>
  Effect.transposeMapOption(file, (name) =>
    FileSystem.FileSystem.pipe(
      Effect.flatMap((fileSystem) => fileSystem.readFile(name)),
      Effect.mapError(readingFailed(name)),
      Effect.flatMap((content) => {
        const bytes = decode(content)
        return bytes === undefined
          ? failed(
              `${name}: a secret key is ${SECRET_KEY_SIZE} bytes, or ${2 * SECRET_KEY_SIZE} hexadecimal digits`
            )
          : checkHalves(name, bytes)
      })
    )
  )

const decode = (content: Uint8Array): Uint8Array | undefined => {
  const bytes =
    content.length === SECRET_KEY_SIZE ? content : fromHex(new TextDecoder().decode(content).trim())
  return bytes?.length === SECRET_KEY_SIZE ? bytes : undefined
}

/** Any 64 bytes look like a secret key. Signing with halves that do not belong together gives the key away. */
const checkHalves = (name: string, secretKey: Uint8Array): Effect.Effect<Uint8Array, CommandFailed> =>
  Effect.gen(function* () {
    const crypto = yield* Crypto
    const pair = yield* crypto.keyPair(secretKey.subarray(0, KEY_SIZE))
    return Buffer.compare(pair.secretKey, secretKey) === 0
      ? secretKey
      : yield* failed(`${name}: is not a secret key: its two halves do not belong together`)
  }).pipe(Effect.provide(CryptoNode.layer))
