import { closeSync, mkdirSync, openSync, unlinkSync, writeSync } from "node:fs"
import { join } from "node:path"

/**
 * Writes and removes a file of this many bytes. On a virtual machine whose host hands out memory
 * when it is first touched, new pages of the page cache cost several times what reused ones do;
 * this leaves reused ones to the appends which follow, so that those and not the host are measured.
 */
export const touchPageCache = (dir, bytes) => {
  const file = join(dir, "touch")
  const chunk = Buffer.alloc(1024 * 1024, 1)
  mkdirSync(dir, { recursive: true })
  const fd = openSync(file, "w")
  try {
    for (let written = 0; written < bytes; written += chunk.length) writeSync(fd, chunk)
  } finally {
    closeSync(fd)
    unlinkSync(file)
  }
}
