/** failure: what is wrong with the other side, in the words that callback code knows; the typed error is its `cause`. */
import { ProtocolError } from "../../index.js"

const words = ({ about, detail, reason }: ProtocolError, maxFeeds: number): string => {
  if (reason === "other-feed") return "First shared hypercore must be the same"
  if (reason === "no-nonce") return "Remote did not include a nonce"
  if (reason === "timeout") return "Remote timed out"
  switch (about) {
    case "frame":
      return "Remote message is larger than 8MB (max allowed)"
    case "header":
      return "Remote sent invalid header"
    case "channel":
      return `Only ${maxFeeds} feeds currently supported. Open a Github issue if you need more`
    case "opening":
      return "Remote sent invalid feed message"
    case "unopened":
      return "Remote sent too many messages on an unopened feed"
    case undefined:
      return `Remote sent an invalid message: ${detail}`
  }
}

export const failure = (problem: ProtocolError, maxFeeds: number): Error =>
  new Error(words(problem, maxFeeds), { cause: problem })

export const timedOut = (): Error =>
  failure(new ProtocolError({ reason: "timeout", detail: "nothing was heard for too long" }), 0)

/** Of a message of ours, which the other side would have to refuse. */
export const tooLarge = (): Error =>
  new Error("A message is larger than 8MB (max allowed)", {
    cause: new ProtocolError({ reason: "too-large", about: "frame", detail: "a message of ours" })
  })
