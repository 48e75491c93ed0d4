/**
 * effect-hypercore: what runs anywhere. Layers that need Node are in `effect-hypercore/node`.
 */
export * as Feed from "./services/Feed.js"
export * as Fork from "./services/Fork.js"
export { Crypto, type CryptoService, type KeyPair } from "./services/Crypto.js"
export {
  type Address,
  type Connection,
  type Listener,
  Network,
  type NetworkService
} from "./services/Network.js"
export * as Replication from "./services/Replication.js"
export { type FeedFiles, type Read, Storage, type StorageService, type Write } from "./services/Storage.js"
export * as CryptoNoble from "./layers/CryptoNoble.js"
export * as CryptoSodiumWasm from "./layers/CryptoSodiumWasm.js"
export * as NetworkMemory from "./layers/NetworkMemory.js"
export * as NetworkWebSocket from "./layers/NetworkWebSocket.js"
export * as StorageMemory from "./layers/StorageMemory.js"
export * as StorageRandomAccess from "./layers/StorageRandomAccess.js"
export * as ValueEncoding from "./domain/ValueEncoding.js"
export * from "./domain/Errors.js"
export type { FeedEvent, Origin } from "./domain/FeedEvent.js"
export type { TreeNode } from "./domain/Node.js"
export type { Claim, Proof } from "./domain/Proof.js"
export type { FileName } from "./domain/Sleep.js"
export { MAX_BLOCK_SIZE } from "./domain/Append.js"
export { fromHex, toHex } from "./domain/Bytes.js"
/** A connection's bytes as messages of channels, and back, without I/O: for those who carry them otherwise. */
export * as Multiplexer from "./domain/Multiplexer.js"
/** Large arrays, used again: a listener that keeps the block it is shown takes it out of the pool, or copies it. */
export * as ArrayPool from "./domain/ArrayPool.js"
/** The messages of the wire. */
export * as Wire from "./domain/Wire.js"
export { discoveryKey } from "./domain/Hash.js"
