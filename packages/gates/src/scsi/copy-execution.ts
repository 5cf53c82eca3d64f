// Executes EXTENDED COPY within one unit: piece by piece, from the volume to the memory of the task and back. Invariant: a copy ends before it
// writes anything if its list is wrong anywhere.

import { SCSI_COPY_RESULTS, SCSI_PIECE_BYTES } from '../limits.ts';
import type { BlockPorts } from './block-execution.ts';
import { BUSY, GOOD, type Outcome, SENSE } from './constants.ts';
import { COPY_LIST_MAX_BYTES, copyListBytes, copyListId, type CopySegment, copySegments } from './copy-parameters.ts';
import { shortName } from './inquiry.ts';
import type { LogicalUnit } from './logical-unit.ts';
import type { ScsiTask } from './scsi-task.ts';

/** Sets the data and the memory of the task. */
export function planCopy(task: ScsiTask, unit: LogicalUnit): number {
  const listBytes = copyListBytes(task.cdb);
  if (unit.isReadonly || unit.modes.isWriteProtected) return SENSE.WRITE_PROTECTED;
  task.presentedBytes = listBytes;
  if (listBytes > COPY_LIST_MAX_BYTES || listBytes > task.announcedOutBytes) return SENSE.LIST_LENGTH;
  task.outBytes = listBytes;
  task.memoryBytes = listBytes === 0 ? 0 : listBytes + SCSI_PIECE_BYTES;
  return GOOD;
}

export class CopyExecution {
  private readonly ports: BlockPorts;
  /** The segments of the copies under way. */
  private readonly segments = new Map<ScsiTask, readonly CopySegment[]>();
  /** Whether the latest copies succeeded, by the identifiers of their lists. */
  private readonly results = new Map<number, boolean>();

  constructor(ports: BlockPorts) {
    this.ports = ports;
  }

  begin(task: ScsiTask): void {
    const { unit } = task;
    if (unit === null) return this.ports.settle(task, SENSE.NO_UNIT);
    const segments = segmentsOf(task, unit);
    if (typeof segments === 'number') return this.ports.settle(task, segments);
    this.segments.set(task, segments);
    this.next(task);
  }

  /** The ranges that the task changes, in bytes; none if its list is wrong. */
  targets(task: ScsiTask, unit: LogicalUnit): (readonly [fromBytes: number, lengthBytes: number])[] {
    const segments = segmentsOf(task, unit);
    const { blockSizeBytes } = unit;
    return typeof segments === 'number'
      ? []
      : segments.filter(({ blocks }) => blocks > 0).map(({ to, blocks }) => [to * blockSizeBytes, blocks * blockSizeBytes] as const);
  }

  /** A piece has been read or written. */
  completed(task: ScsiTask): void {
    if (!this.ports.mayContinue(task)) return this.ports.settle(task, BUSY);
    if (task.op === 'read') return this.write(task);
    task.rangeBytes += task.lengthBytes;
    this.next(task);
  }

  /** The task has ended with an answer. */
  answered(task: ScsiTask, isGood: boolean): void {
    const id = this.segments.delete(task) ? copyListId(task.buffer.subarray(0, task.outBytes)) : null;
    if (id === null) return;
    this.results.delete(id);
    this.results.set(id, isGood);
    const [oldest] = this.results.keys();
    if (this.results.size > SCSI_COPY_RESULTS && oldest !== undefined) this.results.delete(oldest);
  }

  /** The task has ended. */
  left(task: ScsiTask): void {
    this.segments.delete(task);
  }

  /** Returns whether the copy with this identifier succeeded, and forgets it; null if it is not known. */
  takeResult(id: number): boolean | null {
    const result = this.results.get(id) ?? null;
    this.results.delete(id);
    return result;
  }

  /** Reads the next piece. `step` counts segments, and `rangeBytes` counts the copied bytes of the segment. */
  private next(task: ScsiTask): void {
    const segments = this.segments.get(task) ?? [];
    const blockSizeBytes = task.unit?.blockSizeBytes ?? 0;
    for (let segment = segments[task.step]; segment !== undefined; segment = segments[task.step]) {
      const restBytes = segment.blocks * blockSizeBytes - task.rangeBytes;
      if (restBytes > 0) return this.request(task, 'read', segment.from * blockSizeBytes, Math.min(restBytes, SCSI_PIECE_BYTES));
      task.step++;
      task.rangeBytes = 0;
    }
    this.ports.settle(task, GOOD);
  }

  private write(task: ScsiTask): void {
    const to = this.segments.get(task)?.[task.step]?.to ?? 0;
    this.request(task, 'write', to * (task.unit?.blockSizeBytes ?? 0), task.lengthBytes);
  }

  private request(task: ScsiTask, op: 'read' | 'write', fromBytes: number, lengthBytes: number): void {
    task.op = op;
    task.positionBytes = fromBytes + task.rangeBytes;
    task.lengthBytes = lengthBytes;
    task.bufferOffset = task.outBytes;
    this.ports.submit(task);
  }
}

function segmentsOf({ buffer, outBytes }: ScsiTask, unit: LogicalUnit): readonly CopySegment[] | Outcome {
  const list = Buffer.from(buffer.subarray(0, outBytes));
  return copySegments(list, { blocks: unit.blocks, blockSizeBytes: unit.blockSizeBytes, name: shortName(unit) });
}
