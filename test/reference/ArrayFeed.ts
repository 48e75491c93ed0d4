/** A feed as an array: slow, obvious, and without a tree. A cleared (or never downloaded) block is `undefined`. */
export class ArrayFeed {
  readonly blocks: Array<Uint8Array> = []
  readonly held: Array<boolean> = []

  get length(): number {
    return this.blocks.length
  }

  get byteLength(): number {
    return this.blocks.reduce((sum, block) => sum + block.length, 0)
  }

  append(blocks: ReadonlyArray<Uint8Array>): number {
    const start = this.length
    for (const block of blocks) {
      this.blocks.push(block)
      this.held.push(true)
    }
    return start
  }

  clear(start: number, end: number): void {
    for (let i = start; i < Math.min(end, this.length); i++) this.held[i] = false
  }

  get(index: number): Uint8Array | undefined {
    return this.held[index] === true ? this.blocks[index] : undefined
  }

  has(start: number, end: number): boolean {
    for (let i = start; i < end; i++) if (this.held[i] !== true) return false
    return true
  }

  downloaded(start: number, end: number): number {
    return this.held.slice(start, end).filter(Boolean).length
  }

  /** The block that holds byte `offset`: the first, not empty, whose end lies past it. */
  seek(offset: number): { readonly index: number; readonly offset: number } | undefined {
    let rest = offset
    for (let index = 0; index < this.length; index++) {
      if (rest < this.blocks[index]!.length) return { index, offset: rest }
      rest -= this.blocks[index]!.length
    }
    return rest === 0 ? { index: this.length, offset: 0 } : undefined
  }
}
