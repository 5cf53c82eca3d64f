// What the load generator must know of a protocol: how to begin, and the headers of a request and of its answer. Everything else is the
// same code for both protocols, so that a difference in the figures is the servers'.

import type { ByteStream } from './byte-stream.ts';

/** By chance both protocols answer with 16 bytes, and the data behind them. */
export const ANSWER_HEADER_BYTES = 16;

export interface Dialect {
  readonly requestHeaderBytes: number;
  /** Connects to the volume: afterwards the stream takes requests. */
  open(stream: ByteStream): Promise<void>;
  /** A request of `lengthBytes` at `positionBytes`; its answer will name `slot`. The slot is free. */
  writeRequest(buffer: Buffer, offset: number, slot: number, isWrite: boolean, positionBytes: number, lengthBytes: number): void;
  /** Reads an answer's header, and leaves what it says in `slot` and `bodyBytes`. Throws when the answer is not OK. */
  readAnswer(buffer: Buffer, offset: number): void;
  /** Of the answer last read; -1: it answers no request, and `aside` is to get its body. */
  slot: number;
  /** Bytes that follow the header last read. */
  bodyBytes: number;
  /** Something that answers no request came whole: gives the bytes to send, or null. */
  aside(body: Buffer): Buffer | null;
}

/** Big-endian: four stores are what the compiler turns into the fastest code. */
export function putU32(buffer: Buffer, offset: number, value: number): void {
  buffer[offset] = value >>> 24;
  buffer[offset + 1] = value >>> 16;
  buffer[offset + 2] = value >>> 8;
  buffer[offset + 3] = value;
}

export function getU32(buffer: Buffer, offset: number): number {
  return ((buffer[offset]! << 24) | (buffer[offset + 1]! << 16) | (buffer[offset + 2]! << 8) | buffer[offset + 3]!) >>> 0;
}
