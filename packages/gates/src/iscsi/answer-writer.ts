// Writes what a connection sends. Small data is copied into the batch of the connection; large data is sent from the buffer of its task.
// Source of the layouts: RFC 7143, chapter 11. Invariant: each PDU is counted once by the output; numbers of answers rise in the order of the
// bytes.

import { DataBuffers } from '@rsio/rsiod/frontends/streams/data-buffers';
import { GATE_COPY_MAX_BYTES } from '../limits.ts';
import { crc32c } from '../nvme/wire/crc32c.ts';
import { writeLun } from '../scsi/lun.ts';
import type { IscsiTask } from './iscsi-task.ts';
import type { SessionParameters } from './login/negotiation.ts';
import type { OrderedOutput } from './ordered-output.ts';
import type { SessionNumbers } from './session-numbers.ts';
import { BHS_BYTES, DIGEST_BYTES, FINAL, NO_TAG, RESPONSE, RESULT } from './wire/constants.ts';
import { type Digests, NO_DIGESTS, padOf } from './wire/pdu-decoder.ts';

/** Data, padding and digests of a PDU without data of a volume. */
const OVERHEAD_BYTES = BHS_BYTES + DIGEST_BYTES + 3 + DIGEST_BYTES;
const NO_SENSE = Buffer.alloc(0);
const ZEROS = Buffer.alloc(4);

/** The fields of a short PDU. */
export interface ShortPdu {
  readonly opcode: number;
  /** Bytes 1 to 3 of the header. */
  readonly flags?: number;
  readonly byte2?: number;
  readonly byte3?: number;
  readonly tag: number;
  readonly transferTag?: number;
  /** False if the PDU is not an answer. It then carries the number of the next answer without using it up. */
  readonly isAnswer?: boolean;
  readonly data?: Buffer;
}

export class AnswerWriter {
  digests: Digests = NO_DIGESTS;
  /** PDUs that are written and not sent. */
  unsent = 0;
  readonly numbers: SessionNumbers;
  private readonly output: OrderedOutput;

  constructor(output: OrderedOutput, numbers: SessionNumbers) {
    this.output = output;
    this.numbers = numbers;
  }

  /** Writes a PDU with these header fields; `more` sets any others. */
  short(pdu: ShortPdu, more?: (bytes: Buffer, at: number) => void): void {
    const data = pdu.data ?? NO_SENSE;
    const { bytes, fill } = this.output.room(OVERHEAD_BYTES + data.length);
    this.begin(bytes, fill, pdu.opcode, pdu.flags ?? FINAL, data.length, pdu.tag);
    bytes[fill + 2] = pdu.byte2 ?? 0;
    bytes[fill + 3] = pdu.byte3 ?? 0;
    bytes.writeUInt32BE(pdu.transferTag ?? 0, fill + 20);
    bytes.writeUInt32BE(pdu.isAnswer === false ? this.numbers.statSn : this.numbers.nextStatSn(), fill + 24);
    more?.(bytes, fill);
    const start = this.endHeader(bytes, fill);
    data.copy(bytes, start);
    this.commit(this.endData(bytes, start, data.length), 0);
  }

  /** Asks for the data that is still missing in the sequence. */
  readyToTransfer(task: IscsiTask): void {
    const { bytes, fill } = this.output.room(BHS_BYTES + DIGEST_BYTES);
    this.begin(bytes, fill, RESPONSE.R2T, FINAL, 0, task.tag);
    writeLun(bytes, fill + 8, task.lun);
    bytes.writeUInt32BE(task.index, fill + 20);
    bytes.writeUInt32BE(this.numbers.statSn, fill + 24);
    bytes.writeUInt32BE(task.requestSn, fill + 36);
    bytes.writeUInt32BE(task.arrivedBytes, fill + 40);
    bytes.writeUInt32BE(task.sequenceEnd - task.arrivedBytes, fill + 44);
    task.requestSn++;
    this.commit(this.endHeader(bytes, fill), 0);
  }

  /** Sends the result of a task. Sets `isSending` if data is sent from its buffer; `dataSent` of the task is then called. */
  result(task: IscsiTask, parameters: SessionParameters): void {
    const isGood = task.status === 0 && task.senseBytes === 0;
    const dataBytes = isGood ? task.dataBytes : 0;
    if (dataBytes === 0) return this.response(task);
    if (dataBytes <= GATE_COPY_MAX_BYTES || task.held === null) return this.copied(task, dataBytes, parameters);
    if (task.data !== task.held.data) {
      task.data.copy(task.held.data, 0, task.dataOffset, task.dataOffset + dataBytes);
      task.data = task.held.data;
      task.dataOffset = 0;
    }
    this.large(task, dataBytes, parameters);
  }

  private copied(task: IscsiTask, dataBytes: number, { segmentBytes, burstBytes }: SessionParameters): void {
    for (let at = 0, sn = 0; at < dataBytes; sn++) {
      const lengthBytes = Math.min(segmentBytes, dataBytes - at, burstBytes - (at % burstBytes), GATE_COPY_MAX_BYTES);
      const isLast = at + lengthBytes === dataBytes;
      const { bytes, fill } = this.output.room(OVERHEAD_BYTES + lengthBytes);
      const start = this.dataHeader(task, bytes, fill, { at, lengthBytes, sn, isLast, burstBytes });
      task.data.copy(bytes, start, task.dataOffset + at, task.dataOffset + at + lengthBytes);
      // The memory of the task counts until its last data has left.
      this.commit(this.endData(bytes, start, lengthBytes), isLast ? task.budgetBytes : 0);
      at += lengthBytes;
    }
    task.budgetBytes = 0;
  }

  private large(task: IscsiTask, dataBytes: number, { segmentBytes, burstBytes }: SessionParameters): void {
    task.isSending = true;
    for (let at = 0, sn = 0; at < dataBytes; sn++) {
      const lengthBytes = Math.min(segmentBytes, dataBytes - at, burstBytes - (at % burstBytes));
      const isLast = at + lengthBytes === dataBytes;
      const { bytes, fill } = this.output.room(BHS_BYTES + DIGEST_BYTES);
      const header = this.dataHeader(task, bytes, fill, { at, lengthBytes, sn, isLast, burstBytes });
      this.commit(header, 0);
      const start = task.dataOffset + at;
      this.output.piece(task.data, start, lengthBytes, isLast ? task.dataSent : ignore);
      this.tail(task.data, start, lengthBytes);
      at += lengthBytes;
    }
  }

  /** Writes the padding and the digest that follow data sent from its own memory. */
  private tail(data: Buffer, start: number, lengthBytes: number): void {
    const padBytes = padOf(lengthBytes);
    if (padBytes === 0 && !this.digests.data) return;
    const { bytes, fill } = this.output.room(3 + DIGEST_BYTES);
    bytes.fill(0, fill, fill + padBytes);
    if (this.digests.data) {
      const whole = padBytes === 0 ? data : Buffer.concat([data.subarray(start, start + lengthBytes), ZEROS.subarray(0, padBytes)]);
      const from = padBytes === 0 ? start : 0;
      bytes.writeUInt32LE(crc32c(whole, from, from + lengthBytes + padBytes), fill + padBytes);
    }
    this.commit(fill + padBytes + (this.digests.data ? DIGEST_BYTES : 0), 0);
  }

  private dataHeader(
    task: IscsiTask,
    bytes: Buffer,
    fill: number,
    part: { readonly at: number; readonly lengthBytes: number; readonly sn: number; readonly isLast: boolean; readonly burstBytes: number },
  ): number {
    const { at, lengthBytes, sn, isLast, burstBytes } = part;
    const endsBurst = isLast || (at + lengthBytes) % burstBytes === 0;
    const [residual, kind] = isLast ? residualOf(task) : [0, 0];
    const flags = (endsBurst ? FINAL : 0) | (isLast ? RESULT.STATUS | kind : 0);
    this.begin(bytes, fill, RESPONSE.DATA_IN, flags, lengthBytes, task.tag);
    bytes.writeUInt32BE(NO_TAG, fill + 20);
    if (isLast) bytes.writeUInt32BE(this.numbers.nextStatSn(), fill + 24);
    bytes.writeUInt32BE(sn, fill + 36);
    bytes.writeUInt32BE(at, fill + 40);
    bytes.writeUInt32BE(residual, fill + 44);
    return this.endHeader(bytes, fill);
  }

  private response(task: IscsiTask): void {
    const { senseBytes } = task;
    const [residual, kind] = residualOf(task);
    const dataBytes = senseBytes === 0 ? 0 : 2 + senseBytes;
    const { bytes, fill } = this.output.room(OVERHEAD_BYTES + dataBytes);
    this.begin(bytes, fill, RESPONSE.SCSI_RESPONSE, FINAL | kind, dataBytes, task.tag);
    bytes[fill + 3] = task.status;
    bytes.writeUInt32BE(this.numbers.nextStatSn(), fill + 24);
    bytes.writeUInt32BE(task.requestSn, fill + 36);
    bytes.writeUInt32BE(residual, fill + 44);
    const start = this.endHeader(bytes, fill);
    if (dataBytes > 0) {
      bytes.writeUInt16BE(senseBytes, start);
      task.sense.copy(bytes, start + 2, 0, senseBytes);
    }
    this.commit(this.endData(bytes, start, dataBytes), 0);
  }

  private begin(bytes: Buffer, at: number, opcode: number, flags: number, dataBytes: number, tag: number): void {
    const { numbers } = this;
    bytes.fill(0, at, at + BHS_BYTES);
    bytes[at] = opcode;
    bytes[at + 1] = flags;
    bytes.writeUIntBE(dataBytes, at + 5, 3);
    bytes.writeUInt32BE(tag, at + 16);
    bytes.writeUInt32BE(numbers.expCmdSn, at + 28);
    bytes.writeUInt32BE(numbers.maxCmdSn, at + 32);
  }

  private endHeader(bytes: Buffer, at: number): number {
    const end = at + BHS_BYTES;
    if (!this.digests.header) return end;
    bytes.writeUInt32LE(crc32c(bytes, at, end), end);
    return end + DIGEST_BYTES;
  }

  private endData(bytes: Buffer, start: number, lengthBytes: number): number {
    const end = start + lengthBytes + padOf(lengthBytes);
    bytes.fill(0, start + lengthBytes, end);
    if (!this.digests.data || lengthBytes === 0) return end;
    bytes.writeUInt32LE(crc32c(bytes, start, end), end);
    return end + DIGEST_BYTES;
  }

  private commit(fill: number, budgetBytes: number): void {
    this.unsent++;
    this.output.commit(fill, budgetBytes);
  }
}

/** Memory that a task with a buffer of `bytes` takes from the budget. */
export function budgetOf(bytes: number): number {
  return bytes === 0 ? 0 : DataBuffers.memoryBytes(bytes);
}

/** Returns the residual count, and the flag that says which kind it is. */
function residualOf({ expectedBytes, presentedBytes }: IscsiTask): readonly [number, number] {
  if (presentedBytes === expectedBytes) return [0, 0];
  return presentedBytes > expectedBytes
    ? [presentedBytes - expectedBytes, RESULT.OVERFLOW]
    : [expectedBytes - presentedBytes, RESULT.UNDERFLOW];
}

function ignore(): void {}
