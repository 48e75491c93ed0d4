/** createWriteStream: what is written while a batch is being appended is the next batch. */
import { Writable } from "node:stream"

type Append = (batch: ReadonlyArray<unknown>, callback: (error: Error | null) => void) => void

export const writeStream = (append: Append): Writable =>
  new Writable({
    objectMode: true,
    highWaterMark: 16,
    write(value: unknown, _encoding, callback) {
      append([value], callback)
    },
    writev(chunks, callback) {
      append(
        chunks.map(({ chunk }) => chunk as unknown),
        callback
      )
    }
  })
