/**
 * The rule for durations that callers give. Effect takes those below zero, and NaN, for no time at all, and throws at what is none: neither
 * may happen to an option, where 0 can mean "never" and a throw would be a defect.
 */
import { Duration, Option } from "effect"
import { BadArgument } from "../domain/Errors.js"

/** Why `operation` refuses the duration that was given as `option`, if it does; one that is left out is never refused. */
export const wrongDuration = (
  operation: string,
  option: string,
  input: Duration.DurationInput | undefined
): BadArgument | undefined => {
  if (input === undefined) return undefined
  const amount = Option.isNone(Duration.decodeUnknown(input)) ? Number.NaN : amountOf(input)
  if (amount >= 0) return undefined
  // Not every object has a text.
  const given = typeof input === "object" ? option : `${option} ${String(input)}`
  return new BadArgument({
    operation,
    detail: amount < 0 ? `${given} is negative` : `${given} is no duration`
  })
}

/** In whatever unit: its sign is looked at. */
const amountOf = (input: Duration.DurationInput): number => {
  switch (typeof input) {
    case "number":
      return input
    case "bigint":
      return Number(input)
    case "string":
      return Number.parseFloat(input)
    default:
      return Duration.isDuration(input) ? 0 : input[0] * 1e9 + input[1] // a Duration is never negative
  }
}
