/** Block indexes as users give them, and as they are refused. */
import * as Options from "@effect/cli/Options"
import { Effect, Either } from "effect"
import type { Feed } from "../index.js"
import { formatCount } from "./ByteSize.js"
import { type CommandFailed, failed } from "./Failure.js"
import * as Parser from "./Parser.js"

export const parse: Parser.Parser<number> = (text) =>
  /^\d+$/.test(text) && Number.isSafeInteger(Number(text))
    ? Either.right(Number(text))
    : Either.left(`'${text}' is not a block index: blocks are counted from 0`)

/** An option that gives an end of a range: `--start`, `--end`. */
export const bound = (name: string) =>
  Options.text(name).pipe(
    Options.withPseudoName("index"),
    Options.mapEffect(Parser.forOption(name, parse)),
    Options.optional
  )

/** Fails unless the feed's log has at least `length` blocks. */
export const checkLength = (
  directory: string,
  feed: Feed.Feed,
  what: string,
  length: number
): Effect.Effect<void, CommandFailed> =>
  length <= feed.length
    ? Effect.void
    : failed(
        `${directory}: ${what} is past the end of the feed, which has ${formatCount(feed.length, "block")}`
      )
