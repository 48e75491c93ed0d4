/**
 * The messages of a channel as callback code sees them: as they are given to its methods (`...Input`), and as they arrive, where bytes
 * are Buffers, and a field that was not sent is null, 0 or false (the `length` of a Have or Unhave: 1).
 */

/** Text is sent as UTF-8. */
export type BytesInput = Uint8Array | string

type Maybe<A> = A | null | undefined

export interface Info {
  uploading: boolean
  downloading: boolean
}

export interface Have {
  start: number
  length: number
  /** Run-length encoded. */
  bitfield: Buffer | null
  ack: boolean
}

export interface Range {
  start: number
  length: number
}

export interface Request {
  index: number
  bytes: number
  hash: boolean
  nodes: number
}

export interface Cancel {
  index: number
  bytes: number
  hash: boolean
}

export interface DataNode {
  index: number
  /** 32 bytes. */
  hash: Buffer
  size: number
}

export interface Data {
  index: number
  value: Buffer | null
  nodes: Array<DataNode>
  /** 64 bytes. */
  signature: Buffer | null
}

export interface HandshakeInput {
  readonly id?: Maybe<BytesInput>
  readonly live?: Maybe<boolean>
  readonly userData?: Maybe<BytesInput>
  readonly extensions?: Maybe<ReadonlyArray<string>>
  readonly ack?: Maybe<boolean>
}

export interface InfoInput {
  readonly uploading?: Maybe<boolean>
  readonly downloading?: Maybe<boolean>
}

export interface HaveInput {
  readonly start: number
  readonly length?: Maybe<number>
  readonly bitfield?: Maybe<BytesInput>
  readonly ack?: Maybe<boolean>
}

export interface RangeInput {
  readonly start: number
  readonly length?: Maybe<number>
}

export interface RequestInput {
  readonly index: number
  readonly bytes?: Maybe<number>
  readonly hash?: Maybe<boolean>
  readonly nodes?: Maybe<number>
}

export interface CancelInput {
  readonly index: number
  readonly bytes?: Maybe<number>
  readonly hash?: Maybe<boolean>
}

export interface DataNodeInput {
  readonly index: number
  readonly hash: BytesInput
  readonly size: number
}

export interface DataInput {
  readonly index: number
  readonly value?: Maybe<BytesInput>
  readonly nodes?: Maybe<ReadonlyArray<DataNodeInput>>
  readonly signature?: Maybe<BytesInput>
}

/** A channel's events, and what their listeners take. */
export interface ChannelEvents {
  info: [info: Info]
  have: [have: Have]
  unhave: [unhave: Range]
  want: [want: Range]
  unwant: [unwant: Range]
  request: [request: Request]
  cancel: [cancel: Cancel]
  data: [data: Data]
  extension: [name: string, message: Buffer]
  /** Four times in each `timeout` of the stream. */
  tick: []
  /** The stream is over, or the other side has given the channel to another feed. */
  close: []
}
