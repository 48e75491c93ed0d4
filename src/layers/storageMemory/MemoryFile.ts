/** A file in memory that grows by doubling, so that appends cost their own length. */
export class MemoryFile {
  #bytes = new Uint8Array(0)
  size = 0

  /** A copy, short where the file ends. */
  read(offset: number, length: number): Uint8Array {
    return this.#bytes.slice(Math.min(offset, this.size), Math.min(offset + length, this.size))
  }

  write(offset: number, part: Uint8Array): void {
    if (part.length === 0) return
    const end = offset + part.length
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#bytes.length)) // throws where memory ends
      grown.set(this.#bytes.subarray(0, this.size))
      this.#bytes = grown
    }
    this.#bytes.set(part, offset)
    this.size = Math.max(this.size, end)
  }

  remove(offset: number, length: number): void {
    if (offset + length >= this.size) this.truncate(offset)
    else this.#bytes.fill(0, offset, offset + length)
  }

  truncate(size: number): void {
    if (size >= this.size) return
    this.#bytes.fill(0, size, this.size)
    this.size = size
  }
}
