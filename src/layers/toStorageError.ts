/** What a storage's medium throws or calls back with, as a `StorageError`. */
import { StorageError } from "../domain/Errors.js"

/** By the system's error code (Node), or by the exception's name (browsers). */
const REASONS = new Map<string, StorageError["reason"]>([
  ["ENOSPC", "full"],
  ["EDQUOT", "full"],
  ["EFBIG", "full"],
  ["QuotaExceededError", "full"],
  ["EACCES", "permission"],
  ["EPERM", "permission"],
  ["EROFS", "permission"],
  ["NotAllowedError", "permission"],
  // What random-access-file says of a file that another process has locked.
  ["ELOCKED", "locked"]
])

export const toStorageError = (operation: string, file: string, cause: unknown): StorageError => {
  if (cause instanceof StorageError) return cause
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : ""
  const name = cause instanceof Error ? cause.name : ""
  return new StorageError({ reason: REASONS.get(code) ?? REASONS.get(name) ?? "io", operation, file, cause })
}
