import { Effect, Layer } from "effect"
import * as StorageFaulty from "../../src/layers/StorageFaulty.js"
import { Storage } from "../../src/services/Storage.js"
import { storageSuite } from "../suites/storage.js"

storageSuite(
  "StorageFaulty",
  Effect.map(StorageFaulty.make({ seed: 1 }), ({ storage }) => Layer.succeed(Storage, storage))
)
