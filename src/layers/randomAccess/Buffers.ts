/** Bytes for instances: `Buffer`s where there are any, as the packages expect. */

const create = (size: number): Uint8Array =>
  typeof Buffer === "undefined" ? new Uint8Array(size) : Buffer.allocUnsafe(size)

export const zeros = (size: number): Uint8Array => create(size).fill(0)

/** The parts, `length` bytes in all. Always a copy: some instances keep what they are given. */
export const join = (parts: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const joined = create(length)
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}
