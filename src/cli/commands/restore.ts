import * as Command from "@effect/cli/Command"
import * as Backup from "../Backup.js"
import * as FeedDirectory from "../FeedDirectory.js"

const options = {
  backup: FeedDirectory.directoryNamed("backup", "The directory of the backup."),
  dir: FeedDirectory.directoryNamed("dir", "Where the feed is made anew: a directory without one."),
  ...Backup.options
}

export const restore = Command.make("restore", options, ({ backup, dir, ...given }) =>
  Backup.run(backup, dir, given)
).pipe(
  Command.withDescription(
    "Make a feed of a backup, verified. Blocks that were appended after the backup are not in it: clone them from whoever has them before anything is appended."
  )
)

export const examples = [
  "hypercore restore /mnt/backups/log-2026-01-31 log",
  "hypercore clone 8a88...6f5c log --from example.org:3282"
]
