/** Arrays as WebSocket frames: their borders mean nothing, their number costs. */
import { concat } from "../../domain/Bytes.js"

/** Arrays are joined up to this many bytes, which is worth a copy. */
const JOIN = 64 * 1024

/** Well below what receivers take. */
export const MAX_FRAME = 1024 * 1024

export const frames = (arrays: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> => {
  const all: Array<Uint8Array> = []
  let group: Array<Uint8Array> = []
  let size = 0
  const flush = (): void => {
    if (group.length > 0) all.push(group.length === 1 ? group[0]! : concat(group))
    group = []
    size = 0
  }
  for (const array of arrays) {
    if (size + array.length > JOIN) flush()
    if (array.length > MAX_FRAME) {
      for (let at = 0; at < array.length; at += MAX_FRAME) all.push(array.subarray(at, at + MAX_FRAME))
      continue
    }
    group.push(array)
    size += array.length
  }
  flush()
  return all
}

/** Codes of a close that was meant: done, gone away, none given. */
export const isEnd = (code: number): boolean => code === 1000 || code === 1001 || code === 1005
