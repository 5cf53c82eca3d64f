// Decodes the requests of NBD's transmission phase from pieces of any length, and encodes the replies into the caller's buffer. Sans-I/O;
// allocates no memory for a request. The sink decides what a request means and when to stop.
//
//   request:       0x25609513 | flags (u16) | type (u16) | cookie (u64) | offset (u64) | length (u32) | data of a WRITE
//   simple reply:  0x67446698 | error (u32) | cookie (u64) | data of a READ
//   chunk:         0x668e33ef | flags (u16) | type (u16) | cookie (u64) | length (u32) | payload

import { VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import { CHUNK, CHUNK_FLAG_DONE, CHUNK_HEADER_BYTES, MAGIC, REQUEST_HEADER_BYTES, SIMPLE_REPLY_BYTES } from './nbd-constants.ts';

const U32 = 2 ** 32;

/** 64-bit values are stored as two halves, because an offset may be too large to be an exact number. */
export interface NbdRequestHeader {
  readonly flags: number;
  readonly type: number;
  readonly cookieHigh: number;
  readonly cookieLow: number;
  readonly offsetHigh: number;
  readonly offsetLow: number;
  readonly lengthBytes: number;
}

/**
 * Tells the decoder what to do after a header. `hold`: take no more bytes, and offer the same header again at the next call of `feed`.
 * `next`: decode another header. `payload`: copy the payload of `lengthBytes` bytes to `payloadTarget` at `payloadOffset`. `drop`: skip the
 * payload of `lengthBytes` bytes. `stop`: decode nothing more.
 */
export type HeaderVerdict = 'hold' | 'next' | 'payload' | 'drop' | 'stop';

export interface RequestSink {
  /** Called when a header is complete. The object is re-used, so `header` is valid only during the call. */
  header(header: NbdRequestHeader): HeaderVerdict;
  payloadTarget: Buffer;
  payloadOffset: number;
  /** Called when the whole payload of the last header has been copied. */
  payload(): void;
  /** Called when the bytes are not a request; nothing after these bytes can be decoded. */
  badRequest(magic: number): void;
}

class Header implements NbdRequestHeader {
  flags = 0;
  type = 0;
  cookieHigh = 0;
  cookieLow = 0;
  offsetHigh = 0;
  offsetLow = 0;
  lengthBytes = 0;
}

type State = 'header' | 'held' | 'payload' | 'dropping' | 'stopped';

export class NbdRequestDecoder {
  private readonly sink: RequestSink;
  private readonly scratch = Buffer.alloc(REQUEST_HEADER_BYTES);
  private readonly current = new Header();
  private state: State = 'header';
  private have = 0;

  constructor(sink: RequestSink) {
    this.sink = sink;
  }

  /** True while a header is waiting for the sink to take it. */
  get isHolding(): boolean {
    return this.state === 'held';
  }

  /** Takes bytes until all have been taken or the sink answers `hold` or `stop`. Returns the position after the bytes that were taken. */
  feed(bytes: Buffer, start: number, end: number): number {
    let at = start;
    if (this.state === 'held') this.offer();
    while (at < end && this.state !== 'held') {
      if (this.state === 'header') at = this.feedHeader(bytes, at, end);
      else if (this.state === 'stopped') return end;
      else at = this.feedPayload(bytes, at, end);
    }
    return at;
  }

  stop(): void {
    this.state = 'stopped';
  }

  private feedHeader(bytes: Buffer, at: number, end: number): number {
    if (this.have === 0 && end - at >= REQUEST_HEADER_BYTES) {
      this.parse(bytes, at);
      return at + REQUEST_HEADER_BYTES;
    }
    const taken = Math.min(REQUEST_HEADER_BYTES - this.have, end - at);
    bytes.copy(this.scratch, this.have, at, at + taken);
    this.have += taken;
    if (this.have === REQUEST_HEADER_BYTES) {
      this.have = 0;
      this.parse(this.scratch, 0);
    }
    return at + taken;
  }

  private feedPayload(bytes: Buffer, at: number, end: number): number {
    const taken = Math.min(this.current.lengthBytes - this.have, end - at);
    if (this.state === 'payload') bytes.copy(this.sink.payloadTarget, this.sink.payloadOffset + this.have, at, at + taken);
    this.have += taken;
    if (this.have === this.current.lengthBytes) {
      const wanted = this.state === 'payload';
      this.have = 0;
      this.state = 'header';
      if (wanted) this.sink.payload();
    }
    return at + taken;
  }

  private parse(bytes: Buffer, at: number): void {
    const magic = bytes.readUInt32BE(at);
    if (magic !== MAGIC.REQUEST) {
      this.state = 'stopped';
      this.sink.badRequest(magic);
      return;
    }
    const { current } = this;
    current.flags = bytes.readUInt16BE(at + 4);
    current.type = bytes.readUInt16BE(at + 6);
    current.cookieHigh = bytes.readUInt32BE(at + 8);
    current.cookieLow = bytes.readUInt32BE(at + 12);
    current.offsetHigh = bytes.readUInt32BE(at + 16);
    current.offsetLow = bytes.readUInt32BE(at + 20);
    current.lengthBytes = bytes.readUInt32BE(at + 24);
    this.offer();
  }

  private offer(): void {
    const verdict = this.sink.header(this.current);
    switch (verdict) {
      case 'hold':
        this.state = 'held';
        break;
      case 'stop':
        this.state = 'stopped';
        break;
      case 'next':
        this.state = 'header';
        break;
      case 'payload':
        this.state = 'payload';
        break;
      case 'drop':
        this.state = this.current.lengthBytes > 0 ? 'dropping' : 'header';
        break;
    }
  }
}

/**
 * Returns an offset as a number of bytes. An offset beyond the end of every possible volume becomes VOLUME_MAX_BYTES. VOLUME_MAX_BYTES is
 * block-aligned, so the request is refused as past the end and not as unaligned.
 */
export function offsetBytes(high: number, low: number): number {
  const bytes = high * U32 + low;
  return bytes > VOLUME_MAX_BYTES ? VOLUME_MAX_BYTES : bytes;
}

export interface ReplyAddress {
  readonly cookieHigh: number;
  readonly cookieLow: number;
}

/** Each function whose name begins with `write` returns the position after the bytes that it has written. */
export function writeSimpleReply(into: Buffer, at: number, to: ReplyAddress, errno: number): number {
  into.writeUInt32BE(MAGIC.SIMPLE_REPLY, at);
  into.writeUInt32BE(errno, at + 4);
  into.writeUInt32BE(to.cookieHigh, at + 8);
  into.writeUInt32BE(to.cookieLow, at + 12);
  return at + SIMPLE_REPLY_BYTES;
}

/** Writes the header of a chunk, by default the last one of a reply. A payload of `payloadBytes` bytes must follow. */
export function writeChunkHeader(into: Buffer, at: number, to: ReplyAddress, type: number, payloadBytes: number, isLast = true): number {
  into.writeUInt32BE(MAGIC.STRUCTURED_REPLY, at);
  into.writeUInt16BE(isLast ? CHUNK_FLAG_DONE : 0, at + 4);
  into.writeUInt16BE(type, at + 6);
  into.writeUInt32BE(to.cookieHigh, at + 8);
  into.writeUInt32BE(to.cookieLow, at + 12);
  into.writeUInt32BE(payloadBytes, at + 16);
  return at + CHUNK_HEADER_BYTES;
}

/** Writes the header and the offset that precede the data in a one-chunk READ reply. */
export function writeDataChunkPrefix(
  into: Buffer,
  at: number,
  to: ReplyAddress,
  offsetHigh: number,
  offsetLow: number,
  dataBytes: number,
): number {
  const behind = writeChunkHeader(into, at, to, CHUNK.OFFSET_DATA, 8 + dataBytes);
  into.writeUInt32BE(offsetHigh, behind);
  into.writeUInt32BE(offsetLow, behind + 4);
  return behind + 8;
}

/** Length of an error chunk with this message. */
export function errorChunkBytes(sentence: Buffer, withOffset: boolean): number {
  return CHUNK_HEADER_BYTES + 6 + sentence.length + (withOffset ? 8 : 0);
}

export function writeErrorChunk(into: Buffer, at: number, to: ReplyAddress, errno: number, sentence: Buffer): number {
  const payload = writeChunkHeader(into, at, to, CHUNK.ERROR, 6 + sentence.length);
  return writeErrorPayload(into, payload, errno, sentence);
}

/** Writes an error chunk that contains the offset of the error, as the reply to a READ. */
export function writeOffsetErrorChunk(
  into: Buffer,
  at: number,
  to: ReplyAddress,
  errno: number,
  sentence: Buffer,
  offsetHigh: number,
  offsetLow: number,
): number {
  const payload = writeChunkHeader(into, at, to, CHUNK.ERROR_OFFSET, 14 + sentence.length);
  const behind = writeErrorPayload(into, payload, errno, sentence);
  into.writeUInt32BE(offsetHigh, behind);
  into.writeUInt32BE(offsetLow, behind + 4);
  return behind + 8;
}

function writeErrorPayload(into: Buffer, at: number, errno: number, sentence: Buffer): number {
  into.writeUInt32BE(errno, at);
  into.writeUInt16BE(sentence.length, at + 4);
  sentence.copy(into, at + 6);
  return at + 6 + sentence.length;
}
