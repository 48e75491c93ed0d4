/** Sizes and counts as people write and read them: `64k`, `1.5 MiB`, `1,234 blocks`. */
import { Either } from "effect"
import { MAX_BLOCK_SIZE } from "../index.js"
import type { Parser } from "./Parser.js"

const FACTORS: Record<string, number> = { "": 1, k: 1024, m: 1024 * 1024 }

/** The block size that a user gives: `4096`, `64k`, `1m`. */
export const parseBlockSize: Parser<number> = (text) => {
  const match = /^(\d+)([km]?)$/i.exec(text)
  if (match === null) return Either.left(`'${text}' is not a block size: give bytes, such as 4096, 64k or 1m`)
  const size = Number(match[1]) * FACTORS[match[2]!.toLowerCase()]!
  if (size === 0) return Either.left("a block has at least 1 byte")
  return size <= MAX_BLOCK_SIZE
    ? Either.right(size)
    : Either.left(`a block has at most ${MAX_BLOCK_SIZE} bytes (just under 8m)`)
}

const UNITS = ["KiB", "MiB", "GiB", "TiB"]

export const formatBytes = (bytes: number): string => {
  if (bytes < 1024) return `${bytes} B`
  let value = bytes / 1024
  let unit = 0
  // 1023.95 would be printed as 1024.0.
  for (; value >= 1023.95 && unit < UNITS.length - 1; unit++) value /= 1024
  return `${value.toFixed(1)} ${UNITS[unit]}`
}

/** "1,234": by hand, because loading the locale's rules takes 20 ms of a command that takes 250. */
export const formatNumber = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ",")

/** "1 block", "1,234 blocks". */
export const formatCount = (count: number, noun: string): string =>
  `${formatNumber(count)} ${noun}${count === 1 ? "" : "s"}`
