// Decodes a stream of bytes into frames. The decoder can resume at every byte of the stream. A frame that is complete in the received bytes
// is passed on without a copy. A body that arrives in parts is received into a buffer that the owner chooses, or else into a pooled buffer.
// Invariants: `frame` receives a whole frame, which is valid only during the call. The length of a frame is checked before memory is
// allocated. Rules: S3, S7.

import { crc32 } from 'node:zlib';
import type { BufferPool } from '@rsio/base/structures/buffer-pool';
import { BODY_MAX_BYTES } from '@rsio/base/lib/limits';
import { DIGEST_BYTES, HEADER_BYTES, IO_MAX_SECTORS, MESSAGE_MAX_BYTES } from './limits.ts';
import { frameEntry, frameName } from './frames.ts';
import { bodyLengthBytes, emptyHeader, type Header, readHeader } from './header.ts';

export interface DecoderEvents {
  /** Called at the beginning of a body that has not arrived completely. The handler may call `receiveInto` or `stop`. */
  bodyBegins(header: Header): void;
  /**
   * Called with each whole frame. The body has `bodyLengthBytes(header)` bytes at `offset`; its content is undefined after `discardBody`.
   * The handler may call `stop`.
   */
  frame(header: Header, body: Buffer, offset: number): void;
  /** Called when the stream cannot be decoded any further; the decoder has then stopped. */
  malformed(reason: string): void;
}

const NOTHING = Buffer.alloc(0);

export class Decoder {
  /** True if header and body are each followed by a CRC-32. The setting `digest` may be changed between frames. */
  digest = false;
  messageMaxBytes = MESSAGE_MAX_BYTES;
  ioMaxBytes = BODY_MAX_BYTES;
  private readonly events: DecoderEvents;
  private readonly pool: BufferPool;
  private readonly header = emptyHeader();
  private readonly stash = Buffer.alloc(HEADER_BYTES + DIGEST_BYTES);
  private readonly trailer = Buffer.alloc(DIGEST_BYTES);
  private stashed = 0;
  private hasStopped = false;
  // The body that is being received in parts; bodyBytes is negative if there is none.
  private bodyBytes = -1;
  private bodyReceived = 0;
  private trailerBytes = 0;
  private target: Buffer = NOTHING;
  private targetOffset = 0;
  private pooled: Buffer | null = null;
  private isDiscarding = false;

  constructor(sink: DecoderEvents, pool: BufferPool) {
    this.events = sink;
    this.pool = pool;
  }

  get isStopped(): boolean {
    return this.hasStopped;
  }

  get isBetweenFrames(): boolean {
    return this.stashed === 0 && this.bodyBytes < 0;
  }

  /** Decodes `length` received bytes of `chunk`, beginning at `start`. The caller may overwrite these bytes after the call. */
  push(chunk: Buffer, start: number, length: number): void {
    const end = start + length;
    let at = start;
    while (at < end && !this.hasStopped) {
      if (this.bodyBytes >= 0) at = this.continueBody(chunk, at, end);
      else at = this.stashed > 0 ? this.continueHeader(chunk, at, end) : this.whole(chunk, at, end);
    }
  }

  /** Receives the current body into `buffer` at `offset`. May be called only in `bodyBegins`. */
  receiveInto(buffer: Buffer, offset: number): void {
    this.target = buffer;
    this.targetOffset = offset;
  }

  /** Reads and discards the rest of the current body, so that nothing more is written to its buffer. */
  discardBody(): void {
    if (this.bodyBytes < 0) return;
    this.isDiscarding = true;
    this.releaseBody();
  }

  /** Stops decoding at once; the rest of the current chunk is dropped. */
  stop(): void {
    this.hasStopped = true;
    this.releaseBody();
  }

  private get headerBytes(): number {
    return this.digest ? HEADER_BYTES + DIGEST_BYTES : HEADER_BYTES;
  }

  /** The fast path for a frame that is complete in the chunk. */
  private whole(chunk: Buffer, at: number, end: number): number {
    const headerBytes = this.headerBytes;
    if (end - at < headerBytes) return this.continueHeader(chunk, at, end);
    if (!this.acceptHeader(chunk, at)) return end;
    const bodyAt = at + headerBytes;
    const bodyBytes = this.bodyBytes;
    const next = bodyAt + bodyBytes + this.trailerBytes;
    if (next > end) return this.beginBody(bodyAt);
    if (this.trailerBytes > 0 && crc32(chunk.subarray(bodyAt, bodyAt + bodyBytes)) !== chunk.readUInt32BE(bodyAt + bodyBytes)) {
      this.fail(`${frameName(this.header.op)}: the body's CRC-32 does not match`);
      return end;
    }
    this.bodyBytes = -1;
    this.events.frame(this.header, chunk, bodyAt);
    return next;
  }

  private continueHeader(chunk: Buffer, at: number, end: number): number {
    const headerBytes = this.headerBytes;
    const take = Math.min(headerBytes - this.stashed, end - at);
    chunk.copy(this.stash, this.stashed, at, at + take);
    this.stashed += take;
    if (this.stashed < headerBytes) return at + take;
    this.stashed = 0;
    if (!this.acceptHeader(this.stash, 0)) return end;
    if (this.bodyBytes === 0) {
      this.bodyBytes = -1;
      this.events.frame(this.header, NOTHING, 0);
      return at + take;
    }
    return this.beginBody(at + take);
  }

  /** If the header is accepted, returns true and sets `bodyBytes` and `trailerBytes`. */
  private acceptHeader(buffer: Buffer, at: number): boolean {
    if (this.digest && crc32(buffer.subarray(at, at + HEADER_BYTES)) !== buffer.readUInt32BE(at + HEADER_BYTES)) {
      this.fail("A header's CRC-32 does not match");
      return false;
    }
    readHeader(buffer, at, this.header);
    const bodyBytes = bodyLengthBytes(this.header);
    if (bodyBytes < 0) {
      this.fail(
        `${frameName(this.header.op)}: ${this.isTooLong() ? `${this.header.count} sectors, at most ${IO_MAX_SECTORS}` : 'no such frame'}`,
      );
      return false;
    }
    const maxBytes = frameEntry(this.header.op)?.shape === 'message' ? this.messageMaxBytes : this.ioMaxBytes;
    if (bodyBytes > maxBytes) {
      this.fail(`${frameName(this.header.op)}: body of ${bodyBytes} bytes, at most ${maxBytes}`);
      return false;
    }
    this.bodyBytes = bodyBytes;
    this.trailerBytes = this.digest && bodyBytes > 0 ? DIGEST_BYTES : 0;
    return true;
  }

  private isTooLong(): boolean {
    return frameEntry(this.header.op)?.shape === 'io' && this.header.count > IO_MAX_SECTORS;
  }

  private beginBody(bodyAt: number): number {
    this.bodyReceived = 0;
    this.isDiscarding = false;
    this.target = NOTHING;
    this.events.bodyBegins(this.header);
    if (!this.hasStopped && this.target === NOTHING) {
      this.pooled = this.pool.take(this.bodyBytes);
      this.receiveInto(this.pooled, 0);
    }
    return bodyAt;
  }

  private continueBody(chunk: Buffer, at: number, end: number): number {
    const bodyTake = Math.min(Math.max(this.bodyBytes - this.bodyReceived, 0), end - at);
    if (bodyTake > 0 && !this.isDiscarding) chunk.copy(this.target, this.targetOffset + this.bodyReceived, at, at + bodyTake);
    const trailerDone = Math.max(this.bodyReceived - this.bodyBytes, 0);
    const trailerTake = Math.min(this.trailerBytes - trailerDone, end - at - bodyTake);
    if (trailerTake > 0) chunk.copy(this.trailer, trailerDone, at + bodyTake, at + bodyTake + trailerTake);
    this.bodyReceived += bodyTake + trailerTake;
    if (this.bodyReceived === this.bodyBytes + this.trailerBytes) this.finishBody();
    return at + bodyTake + trailerTake;
  }

  private finishBody(): void {
    const target = this.target;
    const offset = this.targetOffset;
    if (
      this.trailerBytes > 0 &&
      !this.isDiscarding &&
      crc32(target.subarray(offset, offset + this.bodyBytes)) !== this.trailer.readUInt32BE(0)
    ) {
      this.fail(`${frameName(this.header.op)}: the body's CRC-32 does not match`);
      return;
    }
    // Clear `pooled` first, because the owner may call stop(), which would give back the buffer that the owner is still reading.
    const pooled = this.pooled;
    this.pooled = null;
    this.bodyBytes = -1;
    this.target = NOTHING;
    this.events.frame(this.header, target, offset);
    if (pooled !== null) this.pool.giveBack(pooled);
  }

  private releaseBody(): void {
    if (this.pooled !== null) this.pool.giveBack(this.pooled);
    this.pooled = null;
    this.target = NOTHING;
    this.targetOffset = 0;
  }

  private fail(reason: string): void {
    this.stop();
    this.events.malformed(reason);
  }
}
