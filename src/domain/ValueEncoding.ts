/**
 * How values become blocks and come back (FORMATS, "Value encodings"). An encoding is pure: a value it cannot take or
 * bytes it cannot read are a `Left`, never a throw.
 */
import { Either, ParseResult, Schema } from "effect"
import { EncodingError } from "./Errors.js"
import * as JsonLoss from "./JsonLoss.js"

export interface ValueEncoding<A, E = EncodingError> {
  readonly name: string
  readonly encode: (value: A) => Either.Either<Uint8Array, E>
  readonly decode: (block: Uint8Array) => Either.Either<A, E>
}

/** Blocks as they are. */
export const binary: ValueEncoding<Uint8Array, never> = {
  name: "binary",
  encode: Either.right,
  decode: Either.right
}

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

const attempt = <A>(encoding: string, run: () => A): Either.Either<A, EncodingError> =>
  Either.try({
    try: run,
    catch: (cause) =>
      new EncodingError({ encoding, detail: cause instanceof Error ? cause.message : String(cause) })
  })

/** Text. Bytes that are not UTF-8 read as U+FFFD, as they do with the peer. */
export const utf8: ValueEncoding<string> = {
  name: "utf-8",
  encode: (text) =>
    typeof text === "string"
      ? Either.right(encoder.encode(text))
      : Either.left(new EncodingError({ encoding: "utf-8", detail: "the value is not a string" })),
  decode: (block) => Either.right(decoder.decode(block))
}

/** Says where JSON would store something else than the value, if anywhere. */
type FindLoss = (value: unknown) => string | undefined

const encodeJson = (value: unknown, findLoss: FindLoss): Either.Either<Uint8Array, EncodingError> =>
  attempt("json", () => {
    const text = JSON.stringify(value) as string | undefined
    if (text === undefined) throw new TypeError("the value has no JSON form")
    // Only now: what has circles was refused.
    const loss = findLoss(value)
    if (loss !== undefined) throw new TypeError(`JSON cannot hold what is at value${loss}`)
    return encoder.encode(text + "\n")
  })

/**
 * One JSON text and a newline, so that the `data` file reads as NDJSON. What `JSON.stringify` would silently store as something
 * else (`NaN`, a `Map`, a function, `undefined` in an array) is an `EncodingError`. An object with `toJSON`, such as a `Date`, has
 * chosen its JSON: it is stored so, and reads back so, as a string.
 */
export const json: ValueEncoding<unknown> = {
  name: "json",
  encode: (value) => encodeJson(value, JsonLoss.find),
  decode: (block) => attempt("json", () => JSON.parse(decoder.decode(block)) as unknown)
}

/** The same of only what reads back as it was: no `Date`, no object of a class. */
const plainJson: ValueEncoding<unknown> = {
  ...json,
  encode: (value) => encodeJson(value, JsonLoss.findInPlain)
}

/** An encoder of the `abstract-encoding` convention; `encodingLength` is not needed here. */
export interface AbstractEncoding<A> {
  readonly name?: string
  encode(value: A): Uint8Array
  decode(block: Uint8Array): A
}

/** The block as the `Buffer` that encoders written for Node expect, where there is one. */
const asBuffer = (block: Uint8Array): Uint8Array =>
  typeof Buffer === "undefined" ? block : Buffer.from(block.buffer, block.byteOffset, block.byteLength)

/** Any abstract-encoding. What it throws becomes an `EncodingError`. */
export const fromAbstract = <A>(encoding: AbstractEncoding<A>): ValueEncoding<A> => {
  const name = encoding.name ?? "abstract-encoding"
  return {
    name,
    encode: (value) => attempt(name, () => encoding.encode(value)),
    decode: (block) => attempt(name, () => encoding.decode(asBuffer(block)))
  }
}

/** A transformation that throws is a failure like any other. */
const guarded =
  <A, B>(schema: Schema.Schema.Any, run: (value: A) => Either.Either<B, ParseResult.ParseError>) =>
  (value: A): Either.Either<B, ParseResult.ParseError> => {
    try {
      return run(value)
    } catch (cause) {
      const issue = new ParseResult.Type(
        schema.ast,
        value,
        cause instanceof Error ? cause.message : String(cause)
      )
      return Either.left(new ParseResult.ParseError({ issue }))
    }
  }

/**
 * Values of a schema, stored by `inner` (`json` unless another is given) in the schema's encoded form. What JSON could not give back,
 * such as the `Date` of `Schema.DateFromSelf`, is an `EncodingError`: take a schema whose encoded form is plain, as `Schema.Date`'s.
 * The schema must be synchronous and need no services; one that is not fails with a `ParseError` that says so.
 */
export const schema = <A, I, E = EncodingError>(
  schema: Schema.Schema<A, I>,
  inner?: ValueEncoding<I, E>
): ValueEncoding<A, ParseResult.ParseError | E> => {
  const given = inner ?? json
  const bytes = (given === json ? plainJson : given) as ValueEncoding<I, E>
  const toEncoded = guarded(schema, Schema.encodeEither(schema))
  const fromEncoded = guarded(schema, Schema.decodeUnknownEither(schema))
  return {
    name: `schema over ${bytes.name}`,
    encode: (value) => Either.flatMap(toEncoded(value), bytes.encode),
    decode: (block) => Either.flatMap(bytes.decode(block), (encoded) => fromEncoded(encoded))
  }
}
