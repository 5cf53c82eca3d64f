// Encodes frames and sends them in batches: the frames of one event are collected in a preallocated output buffer and sent together. READ
// data is written directly behind its header, between `beginIo` and `endIo`. All other bytes are copied, so that the caller may reuse the
// memory at once. Invariant: bytes of an output buffer are not overwritten while they are being sent. Rules: S8.

import { crc32 } from 'node:zlib';
import { assert } from '@rsio/base/lib/assert';
import { ObjectPool } from '@rsio/base/structures/object-pool';
import {
  DIGEST_BYTES,
  HEADER_BYTES,
  OUTPUT_BATCH_BYTES,
  OUTPUT_BATCH_MIN_BYTES,
  OUTPUT_BUFFERS_POOLED_MAX,
  OUTPUT_BUFFER_BYTES,
} from './limits.ts';
import { writeIoHeader, writeMessageHeader } from './header.ts';

/**
 * `done` is called once, when the bytes have been written or the connection is closed. The caller must not overwrite the bytes before
 * `done` is called.
 */
export interface BatchSender {
  send(buffer: Buffer, start: number, lengthBytes: number, done: () => void): void;
}

interface OutputBuffer {
  readonly bytes: Buffer;
  sendsUnderWay: number;
}

function newOutput(): OutputBuffer {
  return { bytes: Buffer.allocUnsafeSlow(OUTPUT_BUFFER_BYTES), sendsUnderWay: 0 };
}

function checkOutput(output: OutputBuffer): void {
  if (output.sendsUnderWay !== 0) assert(false, 'An output buffer was given back while it was being sent');
}

/** Output buffers that all paths of a process share. A path uses an output buffer only while it has output. */
export class OutputPool extends ObjectPool<OutputBuffer> {
  constructor() {
    super(OUTPUT_BUFFERS_POOLED_MAX, newOutput, checkOutput);
  }
}

const EMPTY = Buffer.alloc(0);

export class Encoder {
  /** True if header and body are each followed by a CRC-32. The setting `digest` may be changed only when all output has been flushed. */
  digest = false;
  /**
   * True if one batch is sent at a time, and the next batch contains everything encoded until then. A serial encoder saves work if the
   * sender completes one batch per event-loop turn and copies waiting batches.
   */
  isSerial = false;
  private readonly sender: BatchSender;
  private readonly pool: OutputPool;
  private readonly onSent: () => void;
  private output: OutputBuffer | null = null;
  /** The unsent bytes are in output.bytes, from `start` up to but not including `position`. */
  private start = 0;
  private position = 0;
  private underWayBytes = 0;
  /** Bytes encoded since the last `flush`. */
  private eventBytes = 0;
  /**
   * Size at which a batch is sent: half of the last event's output, but at least OUTPUT_BATCH_MIN_BYTES and at most OUTPUT_BATCH_BYTES.
   * With larger batches, client and server would take turns during a burst instead of working in parallel. For WRITEs of 8 KiB at depth 32,
   * whole batches at the client were measured at a fifth less of its processor time, and at a tenth fewer IOPS on two cores. A serial encoder
   * always uses OUTPUT_BATCH_BYTES, because the second half of the output waits for the first in any case.
   */
  private batchBytes = OUTPUT_BATCH_BYTES;

  /** `onSent` is called when a send has completed and `queuedBytes` has decreased. */
  constructor(sender: BatchSender, pool: OutputPool, onSent: () => void) {
    this.sender = sender;
    this.pool = pool;
    this.onSent = onSent;
  }

  /** Bytes encoded and not yet written to the socket. */
  get queuedBytes(): number {
    return this.underWayBytes + (this.position - this.start);
  }

  /** The buffer in which `beginIo` reserves room. The returned offset counts from the beginning of this buffer. */
  get buffer(): Buffer {
    return this.output === null ? EMPTY : this.output.bytes;
  }

  /** Reserves room for an I/O frame with a body and returns the body's offset in `buffer`. The frame is complete only after `endIo`. */
  beginIo(bodyBytes: number): number {
    this.reserve(HEADER_BYTES + bodyBytes + 2 * DIGEST_BYTES);
    return this.position + HEADER_BYTES + (this.digest ? DIGEST_BYTES : 0);
  }

  /** Completes the frame for which `beginIo(bodyBytes)` reserved room. */
  endIo(op: number, flags: number, handleOrStatus: number, slot: number, seq: number, lba: number, count: number, bodyBytes: number): void {
    writeIoHeader(this.buffer, this.position, op, flags, handleOrStatus, slot, seq, lba, count);
    this.finish(bodyBytes);
  }

  io(op: number, flags: number, handleOrStatus: number, slot: number, seq: number, lba: number, count: number): void {
    this.reserve(HEADER_BYTES + 2 * DIGEST_BYTES);
    writeIoHeader(this.buffer, this.position, op, flags, handleOrStatus, slot, seq, lba, count);
    this.finish(0);
  }

  /** Encodes a message frame with a copy of `body`. */
  message(op: number, flags: number, handleOrStatus: number, slot: number, seq: number, aux: number, body: Buffer): void {
    const offset = this.beginIo(body.length);
    body.copy(this.buffer, offset);
    writeMessageHeader(this.buffer, this.position, op, flags, handleOrStatus, slot, seq, body.length, aux);
    this.finish(body.length);
  }

  /** Appends a complete frame of the handshake. */
  raw(frame: Buffer): void {
    this.reserve(frame.length);
    frame.copy(this.buffer, this.position);
    this.position += frame.length;
    this.eventBytes += frame.length;
  }

  /** Called at the end of an event. Sends everything that was encoded since the last send. */
  flush(): void {
    const { eventBytes } = this;
    if (eventBytes === 0) return;
    this.eventBytes = 0;
    this.batchBytes = Math.min(Math.max(this.isSerial ? OUTPUT_BATCH_BYTES : eventBytes / 2, OUTPUT_BATCH_MIN_BYTES), OUTPUT_BATCH_BYTES);
    this.send();
  }

  private send(): void {
    if (!this.isSerial || this.underWayBytes === 0) this.sendRest();
  }

  /** Called before the connection ends. Sends all encoded output, even while a batch is being sent. */
  sendRest(): void {
    const output = this.output;
    const lengthBytes = this.position - this.start;
    if (output === null || lengthBytes === 0) return;
    const start = this.start;
    this.start = this.position;
    this.underWayBytes += lengthBytes;
    output.sendsUnderWay++;
    this.sender.send(output.bytes, start, lengthBytes, () => this.sent(output, lengthBytes));
  }

  /** Called when no more output follows. The buffer returns to the pool when its last send has completed. */
  close(): void {
    const output = this.output;
    this.output = null;
    this.start = 0;
    this.position = 0;
    if (output !== null && output.sendsUnderWay === 0) this.pool.giveBack(output);
  }

  private sent(output: OutputBuffer, lengthBytes: number): void {
    this.underWayBytes -= lengthBytes;
    output.sendsUnderWay--;
    if (output.sendsUnderWay === 0) {
      if (output !== this.output) this.pool.giveBack(output);
      else if (this.start === this.position) this.close();
    }
    this.onSent();
    if (this.isSerial) this.send();
  }

  private reserve(bytes: number): void {
    if (this.output !== null && this.position + bytes <= OUTPUT_BUFFER_BYTES) return;
    this.sendRest();
    const full = this.output;
    this.output = this.pool.take();
    this.start = 0;
    this.position = 0;
    if (full !== null && full.sendsUnderWay === 0) this.pool.giveBack(full);
  }

  private finish(bodyBytes: number): void {
    const buffer = this.buffer;
    const at = this.position;
    if (this.digest) {
      buffer.writeUInt32BE(crc32(buffer.subarray(at, at + HEADER_BYTES)), at + HEADER_BYTES);
      const bodyAt = at + HEADER_BYTES + DIGEST_BYTES;
      if (bodyBytes > 0) buffer.writeUInt32BE(crc32(buffer.subarray(bodyAt, bodyAt + bodyBytes)), bodyAt + bodyBytes);
      this.position = bodyAt + bodyBytes + (bodyBytes > 0 ? DIGEST_BYTES : 0);
    } else {
      this.position = at + HEADER_BYTES + bodyBytes;
    }
    this.eventBytes += this.position - at;
    if (this.position - this.start >= this.batchBytes) this.send();
  }
}
