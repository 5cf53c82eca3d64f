// Executes block commands whose data has arrived: one request to the volume after another until the range is done. Invariants: the volume
// executes one request of a task at a time; if its nexus must not go on (rule D1), nothing more of a task is executed; between the compare
// and the change of one command, no other change of this target is executed.

import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { SCSI_PIECE_BYTES, SCSI_STATUS_BYTES, SCSI_STATUS_RANGES, SCSI_UNMAP_BLOCKS } from '../limits.ts';
import type { Extent } from '@rsio/rsiod/volumes/frontend-volume';
import { unmapRange, unmapRanges } from './block-plan.ts';
import { BUSY, GOOD, type Outcome, SENSE } from './constants.ts';
import type { LogicalUnit } from './logical-unit.ts';
import type { ScsiTask } from './scsi-task.ts';

export interface BlockPorts {
  /** Gives the request of a task to the volume of its unit. */
  submit(task: ScsiTask): void;
  settle(task: ScsiTask, outcome: Outcome): void;
  /** Returns false if nothing more may be executed for the task. */
  mayContinue(task: ScsiTask): boolean;
  /** The outcome of a command whose volume is not here. */
  readonly away: Outcome;
}

const ZEROS = Buffer.alloc(SCSI_PIECE_BYTES);
const STATUS_HEADER_BYTES = 8;
const STATUS_RANGE_BYTES = 16;
const CHECK_BLOCK = 3;

export class BlockExecution {
  private readonly ports: BlockPorts;

  constructor(ports: BlockPorts) {
    this.ports = ports;
  }

  /** Executes a task that has its data and that its unit admits. */
  begin(task: ScsiTask): void {
    const kind = task.command?.kind;
    if (kind === 'start stop' && !isStop(task)) return this.ports.settle(task, GOOD);
    if (kind === 'flush' || kind === 'start stop') return this.request(task, 'flush', 0, 0, 0);
    if (kind === 'unmap') return this.beginUnmap(task);
    if (kind === 'block status') return this.ask(task);
    if (kind === 'prefetch' || task.rangeBytes === 0) return this.ports.settle(task, GOOD);
    switch (kind) {
      case 'read':
        task.takesReceived = true;
        return this.request(task, 'read', 0, task.rangeBytes, 0);
      case 'compare and write':
        task.expected = task.buffer;
        return this.request(task, 'write', 0, task.rangeBytes, task.rangeBytes);
      case 'write and verify':
        task.fua = true;
        return this.request(task, 'write', 0, task.rangeBytes, 0);
      case 'write same':
        return this.beginSame(task);
      case 'write':
        return this.request(task, 'write', 0, task.rangeBytes, 0);
      default:
        return this.readPiece(task);
    }
  }

  /** A request of the task has succeeded. */
  completed(task: ScsiTask): void {
    switch (task.command?.kind) {
      case 'read':
        return this.endRead(task);
      case 'compare and write':
        return this.ports.settle(task, task.differs ? SENSE.MISCOMPARE : GOOD);
      case 'write and verify':
      case 'verify':
        return this.verifyNext(task);
      case 'write same':
        return this.writeNext(task);
      case 'unmap':
        return this.unmapNext(task);
      case 'orwrite':
        return task.op === 'read' ? this.orPiece(task) : this.orNext(task);
      default:
        return this.ports.settle(task, GOOD);
    }
  }

  private request(task: ScsiTask, op: ScsiTask['op'], atBytes: number, lengthBytes: number, bufferOffset: number): void {
    task.op = op;
    task.positionBytes = task.firstBytes + atBytes;
    task.lengthBytes = lengthBytes;
    task.bufferOffset = bufferOffset;
    task.received = null;
    this.ports.submit(task);
  }

  private pieceOf({ rangeBytes, step }: ScsiTask): number {
    return Math.min(SCSI_PIECE_BYTES, rangeBytes - step);
  }

  private endRead(task: ScsiTask): void {
    task.data = task.received ?? task.buffer;
    task.dataOffset = task.received === null ? 0 : task.receivedOffset;
    this.ports.settle(task, GOOD);
  }

  // --- Verification: the range is read piece by piece to the memory behind the host's data.

  private readPiece(task: ScsiTask): void {
    this.request(task, 'read', task.step, this.pieceOf(task), task.outBytes);
  }

  private verifyNext(task: ScsiTask): void {
    if (task.op === 'read') {
      const at = this.differenceIn(task);
      if (at >= 0) {
        task.information = at;
        return this.ports.settle(task, SENSE.MISCOMPARE);
      }
      task.step += task.lengthBytes;
    }
    if (task.step === task.rangeBytes) this.ports.settle(task, GOOD);
    else if (this.ports.mayContinue(task)) this.readPiece(task);
    else this.ports.settle(task, BUSY);
  }

  /** Returns where the host's data differs from the piece that was read; -1 if it does not. */
  private differenceIn(task: ScsiTask): number {
    const { buffer, check, outBytes, lengthBytes, step } = task;
    if (check === 0) return -1;
    if (check !== CHECK_BLOCK) {
      const at = difference(buffer, step, outBytes, lengthBytes);
      return at < 0 ? -1 : step + at;
    }
    for (let done = 0; done < lengthBytes; done += outBytes) {
      const at = difference(buffer, 0, outBytes + done, outBytes);
      if (at >= 0) return at;
    }
    return -1;
  }

  // --- ORWRITE

  private orPiece(task: ScsiTask): void {
    if (!this.ports.mayContinue(task)) return this.ports.settle(task, BUSY);
    const { buffer, outBytes, lengthBytes, step } = task;
    for (let at = 0; at < lengthBytes; at++) buffer[step + at]! |= buffer[outBytes + at]!;
    this.request(task, 'write', step, lengthBytes, step);
  }

  private orNext(task: ScsiTask): void {
    task.step += task.lengthBytes;
    if (task.step === task.rangeBytes) this.ports.settle(task, GOOD);
    else if (this.ports.mayContinue(task)) this.readPiece(task);
    else this.ports.settle(task, BUSY);
  }

  // --- WRITE SAME and UNMAP

  private beginSame(task: ScsiTask): void {
    const { buffer, outBytes, rangeBytes } = task;
    if (outBytes === 0 || isZero(buffer, outBytes)) {
      task.step = rangeBytes;
      task.mustKeepAllocated = !task.isUnmap;
      return this.request(task, 'zero', 0, rangeBytes, 0);
    }
    buffer.fill(buffer.subarray(0, outBytes), outBytes, outBytes + this.pieceOf(task));
    this.writePiece(task);
  }

  private writePiece(task: ScsiTask): void {
    const at = task.step;
    const lengthBytes = this.pieceOf(task);
    task.step += lengthBytes;
    this.request(task, 'write', at, lengthBytes, task.outBytes);
  }

  private writeNext(task: ScsiTask): void {
    if (task.step === task.rangeBytes) this.ports.settle(task, GOOD);
    else if (this.ports.mayContinue(task)) this.writePiece(task);
    else this.ports.settle(task, BUSY);
  }

  /** All ranges are checked before the first one is unmapped. */
  private beginUnmap(task: ScsiTask): void {
    const { unit } = task;
    let sum = 0;
    for (let index = 0; index < unmapRanges(task); index++) {
      const [first, blocks] = unmapRange(task, index);
      if (unit === null || first > unit.blocks || blocks > unit.blocks - first) return this.ports.settle(task, SENSE.OUT_OF_RANGE);
      sum += blocks;
    }
    if (sum > SCSI_UNMAP_BLOCKS) this.ports.settle(task, SENSE.INVALID_PARAMETER);
    else this.unmapNext(task);
  }

  private unmapNext(task: ScsiTask): void {
    const blockSizeBytes = task.unit?.blockSizeBytes ?? 0;
    const ranges = unmapRanges(task);
    while (task.step < ranges) {
      const [first, blocks] = unmapRange(task, task.step);
      task.step++;
      if (blocks === 0) continue;
      if (!this.ports.mayContinue(task)) return this.ports.settle(task, BUSY);
      // Unmapped blocks read as zeros (LBPRZ), which a discard does not promise.
      return this.request(task, 'zero', first * blockSizeBytes, blocks * blockSizeBytes, 0);
    }
    this.ports.settle(task, GOOD);
  }

  // --- GET LBA STATUS

  private ask(task: ScsiTask): void {
    const { unit } = task;
    if (unit === null) return this.ports.settle(task, SENSE.NO_UNIT);
    const restBytes = unit.blocks * unit.blockSizeBytes - task.firstBytes;
    unit.port.volume.extents(task.firstBytes, Math.min(restBytes, SCSI_STATUS_BYTES), (status, extents) => {
      const allocated = task.cdb.readUInt32BE(10);
      if (status === STATUS.OK) task.give(blockStatus(task.firstBytes, unit, extents, allocated), allocated);
      this.ports.settle(task, outcomeOf(status, false, this.ports.away));
    });
  }
}

/** Returns the data of GET LBA STATUS. A block that is only partly in a hole counts as mapped. */
function blockStatus(firstBytes: number, { blockSizeBytes }: LogicalUnit, extents: readonly Extent[], allocated: number): Buffer {
  const room = Math.floor((allocated - STATUS_HEADER_BYTES) / STATUS_RANGE_BYTES);
  const most = Math.min(Math.max(room, 1), SCSI_STATUS_RANGES);
  const ranges: { first: number; blocks: number; isHole: boolean }[] = [];
  let atBytes = firstBytes;
  let next = firstBytes / blockSizeBytes;
  const add = (end: number, isHole: boolean): void => {
    if (end <= next) return;
    const last = ranges.at(-1);
    if (last?.isHole === isHole) last.blocks += end - next;
    else ranges.push({ first: next, blocks: end - next, isHole });
    next = end;
  };
  for (const { lengthBytes, isHole } of extents) {
    if (isHole) add(Math.ceil(atBytes / blockSizeBytes), false);
    atBytes += lengthBytes;
    add(isHole ? Math.floor(atBytes / blockSizeBytes) : Math.ceil(atBytes / blockSizeBytes), isHole);
  }
  const shown = ranges.slice(0, most);
  const bytes = Buffer.alloc(STATUS_HEADER_BYTES + shown.length * STATUS_RANGE_BYTES);
  bytes.writeUInt32BE(bytes.length - 4, 0);
  for (const [index, { first, blocks, isHole }] of shown.entries()) {
    const at = STATUS_HEADER_BYTES + index * STATUS_RANGE_BYTES;
    bytes.writeBigUInt64BE(BigInt(first), at);
    bytes.writeUInt32BE(Math.min(blocks, 0xffff_ffff), at + 8);
    bytes[at + 12] = isHole ? 1 : 0;
  }
  return bytes;
}

/**
 * Returns the outcome of a command for the status with which its volume has completed it. A lost path is never an error of the medium; the
 * outcome is then `away`.
 */
export function outcomeOf(status: Status, isWrite: boolean, away: Outcome): Outcome {
  switch (status) {
    case STATUS.OK:
      return GOOD;
    case STATUS.PAST_END:
      return SENSE.OUT_OF_RANGE;
    case STATUS.MISALIGNED:
    case STATUS.BAD_REQUEST:
      return SENSE.INVALID_FIELD;
    case STATUS.READ_ONLY:
      return SENSE.WRITE_PROTECTED;
    case STATUS.NO_SPACE:
      return SENSE.NO_SPACE;
    case STATUS.UNSUPPORTED:
      return SENSE.INVALID_OPCODE;
    case STATUS.IO_ERROR:
      return isWrite ? SENSE.WRITE_ERROR : SENSE.READ_ERROR;
    case STATUS.OUT_OF_MEMORY:
      return BUSY;
    default:
      return away;
  }
}

/** Stopping a unit writes its cache. The unit goes on serving its hosts, because other hosts may use it. */
function isStop({ cdb }: ScsiTask): boolean {
  const hasPowerCondition = cdb[4]! >>> 4 !== 0;
  const [isStart, isNoFlush] = [(cdb[4]! & 0x01) !== 0, (cdb[4]! & 0x04) !== 0];
  return !hasPowerCondition && !isStart && !isNoFlush;
}

function difference(buffer: Buffer, one: number, other: number, lengthBytes: number): number {
  if (buffer.compare(buffer, other, other + lengthBytes, one, one + lengthBytes) === 0) return -1;
  let at = 0;
  while (buffer[one + at] === buffer[other + at]) at++;
  return at;
}

function isZero(buffer: Buffer, lengthBytes: number): boolean {
  return buffer.compare(ZEROS, 0, lengthBytes, 0, lengthBytes) === 0;
}
