/**
 * How values become blocks and come back (FORMATS, "Value encodings"). An encoding is pure: a value it cannot take or
 * bytes it cannot read are a `Left`, never a throw.
 */
import { Either, ParseResult, Schema } from "effect"
import { EncodingError } from "./Errors.js"

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

/** One JSON text and a newline, so that the `data` file reads as NDJSON. */
export const json: ValueEncoding<unknown> = {
  name: "json",
  encode: (value) =>
    attempt("json", () => {
      const text = JSON.stringify(value) as string | undefined
      if (text === undefined) throw new TypeError("the value has no JSON form")
      return encoder.encode(text + "\n")
    }),
  decode: (block) => attempt("json", () => JSON.parse(decoder.decode(block)) as unknown)
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
 * Values of a schema, stored by `inner` (NDJSON unless another is given) in the schema's encoded form. The schema must
 * be synchronous and need no services; one that is not fails with a `ParseError` that says so.
 */
export const schema = <A, I, E = EncodingError>(
  schema: Schema.Schema<A, I>,
  inner?: ValueEncoding<I, E>
): ValueEncoding<A, ParseResult.ParseError | E> => {
  const bytes = inner ?? (json as unknown as ValueEncoding<I, E>)
  const toEncoded = guarded(schema, Schema.encodeEither(schema))
  const fromEncoded = guarded(schema, Schema.decodeUnknownEither(schema))
  return {
    name: `schema over ${bytes.name}`,
    encode: (value) => Either.flatMap(toEncoded(value), bytes.encode),
    decode: (block) => Either.flatMap(bytes.decode(block), (encoded) => fromEncoded(encoded))
  }
}
