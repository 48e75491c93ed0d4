/** The wire in bytes (messages, frames), on its own: an attacker says what no program of ours would let it say. */

export const MB = 2 ** 20

export const varint = (value) => {
  const bytes = []
  let rest = BigInt(value)
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

const number = (field, value) => Buffer.concat([varint(field << 3), varint(value)])
export const bytes = (field, value) =>
  Buffer.concat([varint((field << 3) | 2), varint(value.length), Buffer.from(value)])

export const frame = (type, body, channel = 0) => {
  const header = varint(channel * 16 + type)
  return Buffer.concat([varint(header.length + body.length), header, body])
}

const message =
  (type, encode) =>
  (fields, channel = 0) =>
    frame(type, Buffer.concat(encode(fields)), channel)

export const feed = message(0, ({ discoveryKey }) => [bytes(1, discoveryKey)])
export const handshake = message(1, ({ extensions = [] }) => [
  number(2, 1),
  ...extensions.map((name) => bytes(4, Buffer.from(name)))
])
export const info = message(2, ({ uploading, downloading }) => [
  number(1, uploading ? 1 : 0),
  number(2, downloading ? 1 : 0)
])
export const have = message(3, ({ start, length = 1, bitfield }) => [
  number(1, start),
  number(2, length),
  ...(bitfield === undefined ? [] : [bytes(3, bitfield)])
])
export const unhave = message(4, ({ start, length = 1 }) => [number(1, start), number(2, length)])
export const want = message(5, ({ start, length }) => [number(1, start), number(2, length)])
export const request = message(7, ({ index, bytes: at = 0, hash = false, nodes = 0 }) => [
  number(1, index),
  number(2, at),
  number(3, hash ? 1 : 0),
  number(4, nodes)
])
export const cancel = message(8, ({ index }) => [number(1, index), number(2, 0), number(3, 0)])
export const node = ({ index, hash, size }) =>
  Buffer.concat([number(1, index), bytes(2, hash), number(3, size)])
export const data = message(9, ({ index, value, nodes = [], signature }) => [
  number(1, index),
  ...(value === undefined ? [] : [bytes(2, value)]),
  ...nodes.map((one) => bytes(3, one)),
  ...(signature === undefined ? [] : [bytes(4, signature)])
])
export const extension = message(15, ({ id, payload }) => [varint(id), payload])

/** As many messages as come to `size` bytes. */
export const repeat = (size, make) => {
  const parts = []
  for (let i = 0, length = 0; length < size; i++) {
    parts.push(make(i))
    length += parts.at(-1).length
  }
  return Buffer.concat(parts)
}

const readVarint = (bytes, offset) => {
  let value = 0
  for (let at = offset, scale = 1; at < bytes.length; at++, scale *= 128) {
    value += (bytes[at] & 127) * scale
    if (bytes[at] < 128) return { value, next: at + 1 }
  }
  return undefined
}

/** The frames in what the victim says: their types, and their first number, which is the index, or the start. */
export class Reader {
  #rest = Buffer.alloc(0)

  read(chunk) {
    const all = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const frames = []
    let offset = 0
    while (true) {
      const length = readVarint(all, offset)
      if (length === undefined || length.next + length.value > all.length) break
      offset = length.next + length.value
      if (length.value < 2) continue
      const header = readVarint(all, length.next)
      const first = readVarint(all, header.next + 1)
      frames.push({ type: header.value % 16, channel: Math.floor(header.value / 16), first: first?.value })
    }
    this.#rest = all.subarray(offset)
    return frames
  }
}
