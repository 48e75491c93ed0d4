/** From a word of the command line to a value or to what is wrong with it, for options and for arguments of @effect/cli. */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import { Either } from "effect"

export type Parser<A> = (text: string) => Either.Either<A, string>

export const forArgument =
  <A>(parser: Parser<A>) =>
  (text: string): Either.Either<A, HelpDoc.HelpDoc> =>
    Either.mapLeft(parser(text), HelpDoc.p)

export const forOption =
  <A>(name: string, parser: Parser<A>) =>
  (text: string): Either.Either<A, ValidationError.ValidationError> =>
    Either.mapLeft(parser(text), (problem) =>
      ValidationError.invalidValue(HelpDoc.p(`--${name}: ${problem}`))
    )
