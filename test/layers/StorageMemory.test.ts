import { Effect } from "effect"
import * as StorageMemory from "../../src/layers/StorageMemory.js"
import { storageSuite } from "../suites/storage.js"

storageSuite("StorageMemory", Effect.succeed(StorageMemory.layer))
