/** A file as a plain array of bytes: the obvious meaning of a write. */
export class BytesFile {
  bytes = new Uint8Array(0)

  write(offset: number, part: Uint8Array): void {
    if (part.length === 0) return
    if (offset + part.length > this.bytes.length) {
      const longer = new Uint8Array(offset + part.length)
      longer.set(this.bytes)
      this.bytes = longer
    }
    this.bytes.set(part, offset)
  }

  read(offset: number, length: number): Uint8Array {
    return this.bytes.slice(offset, offset + length)
  }
}
