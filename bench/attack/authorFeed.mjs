/** The author's feed, for answers that are true. */
import { Effect, Layer, Scope } from "effect"
import { Feed } from "effect-hypercore"
import { CryptoSodium, StorageFile } from "effect-hypercore/node"
import { data, node } from "./bytes.mjs"

let opened

/** Opens the feed in the directory, once for all connections. */
export const openAuthor = (directory) =>
  (opened ??= Effect.runPromise(
    Effect.flatMap(Scope.make(), (scope) =>
      Feed.open({ path: "author" }).pipe(
        Scope.extend(scope),
        Effect.provide(Layer.merge(StorageFile.layer({ directory }), CryptoSodium.layer))
      )
    )
  ))

/** An answer with all that proves the block to someone who has nothing. */
export const honestData = async (author, index) => {
  if (index >= author.length) return Buffer.alloc(0)
  const { proof, value } = await Effect.runPromise(
    Effect.all({ value: author.get(index), proof: author.proof(index) })
  )
  return data({ index, value, nodes: proof.nodes.map(node), signature: proof.signature })
}
