// Decodes the PDUs of an initiator from bytes in any cuts. The decoder checks the framing: lengths and digests; the sink checks what a
// header means, and says where its data goes. Invariants: a header is passed on once, when all of it is here and its digest is right; data
// is passed on only after its header; after a fault, no byte is taken any more.

import { GATE_AHS_MAX_BYTES } from '../../limits.ts';
import { CRC32C_BEGIN, crc32c, crc32cUpdate, crc32cValue } from '../../nvme/wire/crc32c.ts';
import { BHS_BYTES, DIGEST_BYTES } from './constants.ts';

export interface Digests {
  readonly header: boolean;
  readonly data: boolean;
}

export const NO_DIGESTS: Digests = { header: false, data: false };

export interface PduSink {
  /**
   * Called with a complete header, which is at the beginning of `head` and valid during the call. Returns where the `dataBytes` bytes of
   * data that follow are to be stored, from `dataTargetOffset` on; null to drop them. With a fault, the sink calls `fail` of the decoder.
   */
  header(head: Buffer, dataBytes: number): Buffer | null;
  readonly dataTargetOffset: number;
  /** Called when all data of the PDU has been stored or dropped, also if there is none. */
  data(): void;
  /** Called once: the connection must be closed. */
  fault(why: string): void;
}

type Phase = 'head' | 'data' | 'tail' | 'failed';

export class PduDecoder {
  digests: Digests = NO_DIGESTS;
  /** A PDU with more data is a fault. */
  dataMaxBytes: number;
  private readonly sink: PduSink;
  private phase: Phase = 'head';
  private readonly head = Buffer.alloc(BHS_BYTES + GATE_AHS_MAX_BYTES + DIGEST_BYTES);
  private fill = 0;
  /** Number of bytes before the data; known after the basic header. */
  private needBytes = BHS_BYTES;
  private dataLeft = 0;
  private target: Buffer | null = null;
  private targetAt = 0;
  private crc = CRC32C_BEGIN;
  /** Padding and digest behind the data. */
  private readonly tail = Buffer.alloc(3 + DIGEST_BYTES);
  private tailFill = 0;
  private tailBytes = 0;
  private padBytes = 0;

  constructor(sink: PduSink, dataMaxBytes: number) {
    this.sink = sink;
    this.dataMaxBytes = dataMaxBytes;
  }

  /** The sink calls this if it finds a fault in a header that it was given. */
  fail(why: string): void {
    if (this.phase === 'failed') return;
    this.phase = 'failed';
    this.sink.fault(why);
  }

  stop(): void {
    this.phase = 'failed';
  }

  feed(bytes: Buffer, start: number, end: number): void {
    let at = start;
    // A PDU without data is complete at the end of its header, so the loop need not continue when all bytes are taken.
    while (at < end) {
      if (this.phase === 'failed') return;
      if (this.phase === 'head') at = this.takeHead(bytes, at, end);
      else if (this.phase === 'data') at = this.takeData(bytes, at, end);
      else at = this.takeTail(bytes, at, end);
    }
  }

  private takeHead(bytes: Buffer, start: number, end: number): number {
    let at = start;
    for (;;) {
      const taken = Math.min(this.needBytes - this.fill, end - at);
      bytes.copy(this.head, this.fill, at, at + taken);
      this.fill += taken;
      at += taken;
      if (this.fill < this.needBytes) return at;
      if (this.fill > BHS_BYTES || !this.needsMore()) break;
    }
    this.passHead();
    return at;
  }

  /** Called with the basic header. Returns true if more of the header has to arrive. */
  private needsMore(): boolean {
    const headBytes = BHS_BYTES + 4 * this.head[4]!;
    // The sink can refuse the PDU before any of these bytes is kept.
    if (headBytes - BHS_BYTES > GATE_AHS_MAX_BYTES) return false;
    this.needBytes = headBytes + (this.digests.header ? DIGEST_BYTES : 0);
    return this.needBytes > BHS_BYTES;
  }

  private passHead(): void {
    const { head, needBytes, digests } = this;
    if (4 * head[4]! > GATE_AHS_MAX_BYTES) return this.fail(`it has sent ${4 * head[4]!} bytes of additional headers in one PDU`);
    this.fill = 0;
    this.needBytes = BHS_BYTES;
    const headBytes = needBytes - (digests.header ? DIGEST_BYTES : 0);
    if (digests.header && head.readUInt32LE(headBytes) !== crc32c(head, 0, headBytes)) return this.fail('the digest of a header is wrong');
    const dataBytes = head.readUIntBE(5, 3);
    if (dataBytes > this.dataMaxBytes)
      return this.fail(`it has sent ${dataBytes} bytes of data in one PDU: allowed are ${this.dataMaxBytes}`);
    const target = this.sink.header(head, dataBytes);
    if (this.isFailed()) return;
    if (dataBytes === 0) return this.sink.data();
    this.target = target;
    this.targetAt = this.sink.dataTargetOffset;
    this.dataLeft = dataBytes;
    this.crc = CRC32C_BEGIN;
    this.padBytes = padOf(dataBytes);
    // The login may just have negotiated digests, which both sides use only after the login.
    this.tailBytes = this.padBytes + (digests.data ? DIGEST_BYTES : 0);
    this.tailFill = 0;
    this.phase = 'data';
  }

  /** A sink may call `fail` from within its own callback, which the compiler cannot see. */
  private isFailed(): boolean {
    return this.phase === 'failed';
  }

  private takeData(bytes: Buffer, start: number, end: number): number {
    const taken = Math.min(this.dataLeft, end - start);
    if (this.target !== null) bytes.copy(this.target, this.targetAt, start, start + taken);
    if (this.digests.data) this.crc = crc32cUpdate(this.crc, bytes, start, start + taken);
    this.targetAt += taken;
    this.dataLeft -= taken;
    if (this.dataLeft > 0) return start + taken;
    if (this.tailBytes > 0) this.phase = 'tail';
    else this.complete();
    return start + taken;
  }

  private takeTail(bytes: Buffer, start: number, end: number): number {
    const taken = Math.min(this.tailBytes - this.tailFill, end - start);
    bytes.copy(this.tail, this.tailFill, start, start + taken);
    this.tailFill += taken;
    if (this.tailFill < this.tailBytes) return start + taken;
    if (this.tailBytes > this.padBytes) {
      const crc = crc32cValue(crc32cUpdate(this.crc, this.tail, 0, this.padBytes));
      if (this.tail.readUInt32LE(this.padBytes) !== crc) {
        this.fail('the digest of data is wrong');
        return end;
      }
    }
    this.complete();
    return start + taken;
  }

  private complete(): void {
    this.phase = 'head';
    this.target = null;
    this.sink.data();
  }
}

/** Returns the number of bytes that fill the last word of `bytes` bytes. */
export function padOf(bytes: number): number {
  return -bytes & 3;
}
