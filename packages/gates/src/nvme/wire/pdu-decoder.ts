// Decodes the PDUs of a host from bytes in any cuts. The decoder checks the framing: type, lengths, digests of headers; the sink checks
// what a header means, and says where its data goes. Invariants: a header is passed on once, when all of it is here and its digest is
// right; data is passed on only after its header; after a fault, no byte is taken any more.

import { CRC32C_BEGIN, crc32c, crc32cUpdate, crc32cValue } from './crc32c.ts';
import { DIGEST_BYTES, FATAL, HEADER_BYTES, PDU, PDU_FLAG } from './constants.ts';
import type { Digests } from './pdu.ts';

export interface PduSink {
  /**
   * Called with a complete header. `bytes` is valid during the call, from `at` on. Returns where the `dataBytes` bytes of data that follow
   * are to be stored, at `dataTargetOffset`; null to drop them. With a fault, the sink calls `fail` of the decoder.
   */
  header(bytes: Buffer, at: number, dataBytes: number): Buffer | null;
  readonly dataTargetOffset: number;
  /** Called when all data of the PDU has been stored or dropped, also if there is none. `isIntact` is false if its digest is wrong. */
  data(isIntact: boolean): void;
  /** Called once, when the connection must be terminated. `information` is an offset in the header for some reasons, else 0. */
  fault(reason: number, information: number, header: Buffer): void;
}

/** The longest header with its digest, and padding before data (pdo is one byte). */
const HEAD_MAX_BYTES = 256;

/** Length of the header of each PDU type that a host sends; others are a fault. */
const EXPECTED_BYTES: Readonly<Record<number, number>> = {
  [PDU.IC_REQ]: HEADER_BYTES.ic,
  [PDU.H2C_TERM]: HEADER_BYTES.term,
  [PDU.CAPSULE_CMD]: HEADER_BYTES.capsuleCmd,
  [PDU.H2C_DATA]: HEADER_BYTES.data,
};

type Phase = 'head' | 'data' | 'digest' | 'failed';

export class PduDecoder {
  /** Set once, after ICReq. */
  digests: Digests = { header: false, data: false };
  private readonly sink: PduSink;
  private readonly dataMaxBytes: number;
  private phase: Phase = 'head';
  /** A header that arrives in parts. */
  private readonly head = Buffer.alloc(HEAD_MAX_BYTES);
  private fill = 0;
  /** The bytes that contain the header being checked: `head`, or the received bytes if the header has arrived whole. */
  private source: Buffer = this.head;
  private sourceAt = 0;
  /** Number of bytes before the data; known after the common header. */
  private needBytes: number = HEADER_BYTES.common;
  private dataLeft = 0;
  private target: Buffer | null = null;
  private targetAt = 0;
  private crc = CRC32C_BEGIN;
  private digest = 0;
  private digestLeft = 0;
  private hasDigest = false;

  /** A PDU with more than `dataMaxBytes` bytes of data is a fault. */
  constructor(sink: PduSink, dataMaxBytes: number) {
    this.sink = sink;
    this.dataMaxBytes = dataMaxBytes;
  }

  /** The sink calls this if it finds a fault in a header that it was given. */
  fail(reason: number, information: number): void {
    if (this.phase === 'failed') return;
    this.phase = 'failed';
    const { source, sourceAt } = this;
    this.sink.fault(reason, information, Buffer.from(source.subarray(sourceAt, sourceAt + Math.min(this.fill, HEADER_BYTES.ic))));
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
      else at = this.takeDigest(bytes, at, end);
    }
  }

  private takeHead(bytes: Buffer, start: number, end: number): number {
    return this.fill === 0 && end - start >= HEADER_BYTES.common ? this.passWhole(bytes, start, end) : this.collectHead(bytes, start, end);
  }

  /** Passes a header on in the received bytes, without a copy. If the header is not complete, its bytes are collected instead. */
  private passWhole(bytes: Buffer, start: number, end: number): number {
    this.source = bytes;
    this.sourceAt = start;
    this.fill = HEADER_BYTES.common;
    if (!this.measure()) return start + HEADER_BYTES.common;
    const behind = start + this.needBytes;
    if (behind > end) return this.restart(bytes, start, end);
    this.fill = this.needBytes;
    this.passHead();
    return behind;
  }

  private restart(bytes: Buffer, start: number, end: number): number {
    this.fill = 0;
    this.needBytes = HEADER_BYTES.common;
    return this.collectHead(bytes, start, end);
  }

  private collectHead(bytes: Buffer, start: number, end: number): number {
    this.source = this.head;
    this.sourceAt = 0;
    let at = start;
    for (;;) {
      const taken = Math.min(this.needBytes - this.fill, end - at);
      bytes.copy(this.head, this.fill, at, at + taken);
      this.fill += taken;
      at += taken;
      if (this.fill < this.needBytes) return at;
      if (this.needBytes > HEADER_BYTES.common) break;
      if (!this.measure()) return at;
    }
    this.passHead();
    return at;
  }

  /** Checks the common header, and computes the number of bytes before the data. Returns false after a fault. */
  private measure(): boolean {
    const { source, sourceAt: at } = this;
    const type = source[at]!;
    const headerBytes = source[at + 2]!;
    const pdo = source[at + 3]!;
    const plen = source.readUInt32LE(at + 4);
    if (headerBytes !== EXPECTED_BYTES[type]) return this.wrong(EXPECTED_BYTES[type] === undefined ? 0 : 2);
    const { header, data } = this.digests;
    const hasDigests = type === PDU.CAPSULE_CMD || type === PDU.H2C_DATA;
    const flags = source[at + 1]!;
    if (hasDigests && ((flags & PDU_FLAG.HDGST) !== 0) !== header) return this.wrong(1);
    const digestBytes = hasDigests && header ? DIGEST_BYTES : 0;
    const fixedBytes = headerBytes + digestBytes;
    if (!hasDigests) {
      // A termination carries up to 128 bytes of a header, which follow without an offset.
      if (plen < headerBytes || plen > headerBytes + HEADER_BYTES.ic || (type === PDU.IC_REQ && plen !== headerBytes)) return this.wrong(4);
      return this.expect(headerBytes, plen - headerBytes, false);
    }
    if (plen < fixedBytes) return this.wrong(4);
    if (plen === fixedBytes) return this.expect(fixedBytes, 0, false);
    if (pdo < fixedBytes || pdo > plen || pdo > HEAD_MAX_BYTES) return this.wrong(3);
    const hasDigest = data;
    if (((flags & PDU_FLAG.DDGST) !== 0) !== hasDigest) return this.wrong(1);
    const dataBytes = plen - pdo - (hasDigest ? DIGEST_BYTES : 0);
    if (dataBytes < 1) return this.wrong(4);
    if (dataBytes > this.dataMaxBytes) {
      this.fail(FATAL.DATA_LIMIT, 0);
      return false;
    }
    return this.expect(pdo, dataBytes, hasDigest);
  }

  private expect(headBytes: number, dataBytes: number, hasDigest: boolean): true {
    this.needBytes = headBytes;
    this.dataLeft = dataBytes;
    this.hasDigest = hasDigest;
    return true;
  }

  private wrong(offset: number): false {
    this.fail(FATAL.INVALID_HEADER, offset);
    return false;
  }

  private passHead(): void {
    const { source, sourceAt: at } = this;
    if ((source[at + 1]! & PDU_FLAG.HDGST) !== 0 && this.digests.header) {
      const behind = at + source[at + 2]!;
      const digest = source.readUInt32LE(behind);
      if (digest !== crc32c(source, at, behind)) return this.fail(FATAL.HEADER_DIGEST, digest);
    }
    this.crc = CRC32C_BEGIN;
    this.target = this.sink.header(source, at, this.dataLeft);
    this.targetAt = this.sink.dataTargetOffset;
    if (this.failed()) return;
    this.phase = 'data';
    if (this.dataLeft === 0) this.passData(true);
  }

  private takeData(bytes: Buffer, at: number, end: number): number {
    const taken = Math.min(this.dataLeft, end - at);
    if (this.target !== null) bytes.copy(this.target, this.targetAt, at, at + taken);
    if (this.hasDigest) this.crc = crc32cUpdate(this.crc, bytes, at, at + taken);
    this.targetAt += taken;
    this.dataLeft -= taken;
    if (this.dataLeft > 0) return at + taken;
    if (this.hasDigest) {
      this.phase = 'digest';
      this.digestLeft = DIGEST_BYTES;
      this.digest = 0;
    } else this.passData(true);
    return at + taken;
  }

  private takeDigest(bytes: Buffer, start: number, end: number): number {
    let at = start;
    for (; at < end && this.digestLeft > 0; at++) {
      this.digest = (this.digest | (bytes[at]! << (8 * (DIGEST_BYTES - this.digestLeft)))) >>> 0;
      this.digestLeft--;
    }
    if (this.digestLeft === 0) this.passData(this.digest === crc32cValue(this.crc));
    return at;
  }

  private passData(isIntact: boolean): void {
    this.phase = 'head';
    this.fill = 0;
    this.needBytes = HEADER_BYTES.common;
    this.target = null;
    this.sink.data(isIntact);
  }

  private failed(): boolean {
    return this.phase === 'failed';
  }
}
