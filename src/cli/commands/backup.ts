import * as Command from "@effect/cli/Command"
import * as Backup from "../Backup.js"
import * as FeedDirectory from "../FeedDirectory.js"

const options = {
  dir: FeedDirectory.directory,
  target: FeedDirectory.directoryNamed("target", "Where the copy is made: a directory without a feed."),
  ...Backup.options
}

export const backup = Command.make("backup", options, ({ dir, target, ...given }) =>
  Backup.run(dir, target, given)
).pipe(
  Command.withDescription(
    "Copy a feed to another directory and verify the copy. Works also while another process writes to the feed: the copy is the log as it was at the beginning. Without the secret key, unless told otherwise."
  )
)

export const examples = ["hypercore backup log /mnt/backups/log-2026-01-31"]
