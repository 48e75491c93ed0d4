/**
 * Whether a value from outside the types has the form of a `Claim`. What its numbers and bytes are worth is for `Proof.plan`
 * and `Proof.check` to say.
 */
import type { Claim } from "./Proof.js"

export const isClaim = (value: unknown): value is Claim =>
  isRecord(value) && typeof value["index"] === "number" && isBytes(value["block"]) && isProof(value["proof"])

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null

const isBytes = (value: unknown): boolean => value === undefined || value instanceof Uint8Array

const isProof = (value: unknown): boolean =>
  isRecord(value) &&
  Array.isArray(value["nodes"]) &&
  value["nodes"].every(isNode) &&
  isBytes(value["signature"])

const isNode = (value: unknown): boolean =>
  isRecord(value) &&
  typeof value["index"] === "number" &&
  value["hash"] instanceof Uint8Array &&
  typeof value["size"] === "number"
