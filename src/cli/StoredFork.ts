/**
 * What a directory remembers of a fork: the evidence, in a file of its own beside the feed's six, so that commands that come later know
 * it. Programs that know nothing of the file leave it alone.
 */
import { Either } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Fork } from "../index.js"

export const fileOf = (directory: string): string => path.join(directory, "fork")

/** No evidence is longer: two logs of at most 47 roots, and two ways of at most 47 nodes. */
const MOST_BYTES = 16_384

/** The evidence that is stored, not verified: `undefined` when there is none, `"unreadable"` for what is no evidence. */
export const read = (directory: string): Fork.Evidence | "unreadable" | undefined => {
  try {
    if (!fs.existsSync(fileOf(directory))) return undefined
    if (fs.statSync(fileOf(directory)).size > MOST_BYTES) return "unreadable"
    return Either.getOrElse(Fork.decode(fs.readFileSync(fileOf(directory))), () => "unreadable" as const)
  } catch {
    return "unreadable"
  }
}

/** Stores the evidence, whole or not at all. Where it cannot be, the fork will be found again. */
export const save = (directory: string, evidence: Fork.Evidence): void => {
  const file = fileOf(directory)
  try {
    fs.writeFileSync(`${file}.new`, Fork.encode(evidence))
    fs.renameSync(`${file}.new`, file)
  } catch {
    // The connection that found it tells of it all the same.
  }
}
