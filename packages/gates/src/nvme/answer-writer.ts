// Writes what a connection sends: completions, data, and requests for data. Small answers are copied into the batch of the connection; large
// data is sent from the buffer of its command. Invariant: each call adds exactly one answer that the output counts.

import { DATA_OFFSET } from '@rsio/rsiod/frontends/streams/data-buffers';
import type { ReplyOutput } from '@rsio/rsiod/frontends/streams/reply-output';
import { GATE_LARGE_LOGS_MAX, GATE_SMALL_LOG_BYTES } from '../limits.ts';
import type { NvmeCommand } from './nvme-command.ts';
import { CODE, type Code } from './wire/constants.ts';
import {
  type Digests,
  dataHeaderBytes,
  NO_DIGESTS,
  R2T_MAX_BYTES,
  RESPONSE_MAX_BYTES,
  writeDataDigest,
  writeDataHeader,
  writeR2t,
  writeResponse,
} from './wire/pdu.ts';

const DIGEST_BYTES = 4;
/** The value that stands for the position in the submission queue if the host has turned flow control off. */
const NO_POSITION = 0xffff;

export class AnswerWriter {
  digests: Digests = NO_DIGESTS;
  /** False if the host does not want to know how far its submission queue was read; data then needs no separate completion. */
  hasFlowControl = true;
  /** The position up to which the submission queue was read. */
  sqhd = 0;
  /** Commands that have arrived. */
  taken = 0;
  private readonly output: ReplyOutput;

  constructor(output: ReplyOutput) {
    this.output = output;
  }

  /** A command was taken from a queue of `entries` entries. */
  took(entries: number): void {
    this.taken++;
    this.sqhd = (this.sqhd + 1) % entries;
  }

  /** False if so many answers wait for the host that the data of one more admin command would use too much memory. */
  hasRoom(dataBytes: number, unanswered: number): boolean {
    return dataBytes <= GATE_SMALL_LOG_BYTES || unanswered <= GATE_LARGE_LOGS_MAX;
  }

  completion(command: NvmeCommand, code: Code, low: number, high: number): void {
    const { bytes, fill } = this.output.room(RESPONSE_MAX_BYTES);
    this.output.commit(this.complete(command, bytes, fill, code, low, high), 0);
  }

  /** Copies the data, and completes the command. The memory of the command counts until the answer has left. */
  data(command: NvmeCommand, source: Buffer, sourceAt: number, dataBytes: number): void {
    const { digests } = this;
    const { bytes, fill } = this.output.room(dataHeaderBytes(digests) + dataBytes + DIGEST_BYTES + RESPONSE_MAX_BYTES);
    const start = this.dataHeader(command, bytes, fill, dataBytes);
    source.copy(bytes, start, sourceAt, sourceAt + dataBytes);
    this.output.commit(this.behindData(command, bytes, start, start + dataBytes), command.budgetBytes);
  }

  /** Sends the data of `memory`, the memory of the command's buffer, without a copy. */
  largeData(command: NvmeCommand, memory: Buffer, dataBytes: number): void {
    const start = DATA_OFFSET - dataHeaderBytes(this.digests);
    this.dataHeader(command, memory, start, dataBytes);
    command.reply = memory.subarray(start, this.behindData(command, memory, DATA_OFFSET, DATA_OFFSET + dataBytes));
    this.output.sendLarge(command);
  }

  /** Asks the host for all data of a command. */
  readyToTransfer({ cid, tag, dataBytes }: NvmeCommand): void {
    const { bytes, fill } = this.output.room(R2T_MAX_BYTES);
    this.output.commit(writeR2t(bytes, fill, cid, tag, dataBytes, this.digests), 0);
  }

  private dataHeader({ cid }: NvmeCommand, bytes: Buffer, at: number, dataBytes: number): number {
    return writeDataHeader(bytes, at, { cid, dataBytes, isSuccess: !this.hasFlowControl }, this.digests);
  }

  private behindData(command: NvmeCommand, bytes: Buffer, start: number, end: number): number {
    const behind = writeDataDigest(bytes, start, end, this.digests);
    return this.hasFlowControl ? this.complete(command, bytes, behind, CODE.OK, 0, 0) : behind;
  }

  private complete({ cid }: NvmeCommand, bytes: Buffer, at: number, status: Code, low: number, high: number): number {
    const sqhd = this.hasFlowControl ? this.sqhd : NO_POSITION;
    return writeResponse(bytes, at, { low, high, sqhd, cid, status }, this.digests);
  }
}
