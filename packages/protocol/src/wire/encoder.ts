// Frames out, batched: everything that is said during one event goes into one preallocated output buffer and leaves in few sends.
// READ data is put straight behind its header's place (`beginIo` ... `endIo`), everything else is copied in: what the caller gave
// is his own again at once. Invariant: an output buffer is written again only where no send of it is under way.

import { crc32 } from 'node:zlib';
import { assert } from '@rsio/common/lib/assert';
import { ObjectPool } from '@rsio/common/structures/object-pool';
import {
  DIGEST_BYTES,
  HEADER_BYTES,
  OUTPUT_BATCH_BYTES,
  OUTPUT_BATCH_MIN_BYTES,
  OUTPUT_BUFFERS_POOLED_MAX,
  OUTPUT_BUFFER_BYTES,
} from './limits.ts';
import { writeIoHeader, writeMessageHeader } from './header.ts';

/** Where batches go. `done` is called once, when the bytes may be overwritten (written, or the connection closed). */
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

/** Output buffers shared by the paths of a process. A path has one while it has output. */
export class OutputPool extends ObjectPool<OutputBuffer> {
  constructor() {
    super(OUTPUT_BUFFERS_POOLED_MAX, newOutput, checkOutput);
  }
}

const EMPTY = Buffer.alloc(0);

export class Encoder {
  /** Header and body are each followed by a CRC-32. Changed only when nothing is unflushed. */
  digest = false;
  private readonly sender: BatchSender;
  private readonly pool: OutputPool;
  private readonly onSent: () => void;
  private output: OutputBuffer | null = null;
  /** Unsent bytes are output.bytes[start, position). */
  private start = 0;
  private position = 0;
  private underWayBytes = 0;
  /** Said since `flush` was last asked for. */
  private eventBytes = 0;
  /** Half of what the last event said: client and server would else work in turn on one burst that goes to and fro, and never at once. */
  private batchBytes = OUTPUT_BATCH_BYTES;

  /** `onSent` is called after a send has completed and `queuedBytes` went down. */
  constructor(sender: BatchSender, pool: OutputPool, onSent: () => void) {
    this.sender = sender;
    this.pool = pool;
    this.onSent = onSent;
  }

  /** Bytes said and not yet written to the socket. */
  get queuedBytes(): number {
    return this.underWayBytes + (this.position - this.start);
  }

  /** The buffer in which `beginIo` gave a place. */
  get buffer(): Buffer {
    return this.output === null ? EMPTY : this.output.bytes;
  }

  /** Makes room for an I/O frame with a body and gives the body's offset in `buffer`; nothing is said until `endIo`. */
  beginIo(bodyBytes: number): number {
    this.reserve(HEADER_BYTES + bodyBytes + 2 * DIGEST_BYTES);
    return this.position + HEADER_BYTES + (this.digest ? DIGEST_BYTES : 0);
  }

  /** Says the frame for which `beginIo(bodyBytes)` made room. */
  endIo(op: number, flags: number, handleOrStatus: number, slot: number, seq: number, lba: number, count: number, bodyBytes: number): void {
    writeIoHeader(this.buffer, this.position, op, flags, handleOrStatus, slot, seq, lba, count);
    this.finish(bodyBytes);
  }

  /** An I/O frame without a body. */
  io(op: number, flags: number, handleOrStatus: number, slot: number, seq: number, lba: number, count: number): void {
    this.reserve(HEADER_BYTES + 2 * DIGEST_BYTES);
    writeIoHeader(this.buffer, this.position, op, flags, handleOrStatus, slot, seq, lba, count);
    this.finish(0);
  }

  /** A message frame; `body` is copied. */
  message(op: number, flags: number, handleOrStatus: number, slot: number, seq: number, aux: number, body: Buffer): void {
    const offset = this.beginIo(body.length);
    body.copy(this.buffer, offset);
    writeMessageHeader(this.buffer, this.position, op, flags, handleOrStatus, slot, seq, body.length, aux);
    this.finish(body.length);
  }

  /** Bytes that are frames already (made by the handshake). */
  raw(frame: Buffer): void {
    this.reserve(frame.length);
    frame.copy(this.buffer, this.position);
    this.position += frame.length;
    this.eventBytes += frame.length;
  }

  /** The event ends: sends what was said since the last send. */
  flush(): void {
    const { eventBytes } = this;
    if (eventBytes === 0) return;
    this.eventBytes = 0;
    this.batchBytes = Math.min(Math.max(eventBytes / 2, OUTPUT_BATCH_MIN_BYTES), OUTPUT_BATCH_BYTES);
    this.send();
  }

  private send(): void {
    const output = this.output;
    const lengthBytes = this.position - this.start;
    if (output === null || lengthBytes === 0) return;
    const start = this.start;
    this.start = this.position;
    this.underWayBytes += lengthBytes;
    output.sendsUnderWay++;
    this.sender.send(output.bytes, start, lengthBytes, () => this.sent(output, lengthBytes));
  }

  /** Nothing more will be said: the buffer goes back when its last send is done. */
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
  }

  private reserve(bytes: number): void {
    if (this.output !== null && this.position + bytes <= OUTPUT_BUFFER_BYTES) return;
    this.send();
    const full = this.output;
    this.output = this.pool.take();
    this.start = 0;
    this.position = 0;
    if (full !== null && full.sendsUnderWay === 0) this.pool.giveBack(full);
  }

  /** The header stands at `position`: adds the digests, moves on, sends a full batch. */
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
