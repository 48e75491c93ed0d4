/** effect-hypercore on Node: storage in files, native crypto where there is any. */
import { Layer } from "effect"
import * as CryptoNode from "./layers/CryptoNode.js"
import * as CryptoSodium from "./layers/CryptoSodium.js"
import * as CryptoThreads from "./layers/CryptoThreads.js"
import * as NetworkTcp from "./layers/NetworkTcp.js"
import * as NetworkWebSocketNode from "./layers/NetworkWebSocketNode.js"
import * as StorageFile from "./layers/StorageFile.js"
import type { Crypto } from "./services/Crypto.js"
import type { Storage } from "./services/Storage.js"

export { CryptoNode, CryptoSodium, CryptoThreads, NetworkTcp, NetworkWebSocketNode, StorageFile }
export type { NetworkTcpOptions } from "./layers/NetworkTcp.js"
export type { NetworkWebSocketNodeOptions } from "./layers/NetworkWebSocketNode.js"
export type { CryptoThreadsOptions } from "./layers/CryptoThreads.js"
export type { StorageFileOptions } from "./layers/StorageFile.js"

/** All that `Feed.open` needs: files under a directory, and sodium-native, else WebAssembly, else noble. */
export const layer = (options: StorageFile.StorageFileOptions): Layer.Layer<Crypto | Storage> =>
  Layer.merge(StorageFile.layer(options), CryptoNode.layer)
