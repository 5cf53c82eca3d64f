// One SCSI command of a host. The volume sees the object as a VolumeIo. A transport extends it, re-uses its objects, and owns their buffers;
// each object creates its callbacks only once. Invariant: the fields of VolumeIo do not change from `submit` until `done`.

import type { Status } from '@rsio/protocol/wire/status';
import type { VolumeIo, VolumeOp } from '@rsio/rsiod/volumes/frontend-volume';
import { RangeEntry } from '@rsio/rsiod/volumes/range-lock';
import { SCSI_CDB_BYTES, SCSI_SENSE_BYTES } from '../limits.ts';
import type { Change, Hold } from '../order/block-order.ts';
import type { Reservations } from '../reservations/reservations.ts';
import type { Command, Conflict } from './command-table.ts';
import { GOOD, isPlainStatus, type Outcome, statusOf } from './constants.ts';
import type { LogicalUnit, UnitTask, UnitUser } from './logical-unit.ts';
import { type SenseExtras, writeSense } from './sense.ts';

const NO_BUFFER = Buffer.alloc(0);

/** Who gets the completion of a request to a volume. The engine sets it. */
export interface TaskEvents {
  completed(task: ScsiTask, status: Status): void;
  /** The other changes of the unit, for which the task has waited, have ended. */
  proceed(task: ScsiTask): void;
  /** The task was held (rule D1), and is tried again. */
  goOn(task: ScsiTask): void;
}

/** An ordered task is executed after all earlier tasks of its unit, and before all later ones. */
export type TaskAttribute = 'simple' | 'ordered' | 'head';

/** The range that a task changes, in the lock of its unit. */
class TaskRange extends RangeEntry {
  readonly task: ScsiTask;

  constructor(task: ScsiTask) {
    super();
    this.task = task;
  }
}

/** Returns the task that waits with this entry in the lock of its unit. */
export function taskOf(entry: RangeEntry): ScsiTask | null {
  return entry instanceof TaskRange ? entry.task : null;
}

export class ScsiTask implements VolumeIo, UnitTask, SenseExtras, Change {
  // The fields of VolumeIo, which the volume sees. `buffer` is the transport's, with `memoryBytes` bytes or more; data-out begins at 0.
  op: VolumeOp = 'read';
  positionBytes = 0;
  lengthBytes = 0;
  buffer: Buffer = NO_BUFFER;
  bufferOffset = 0;
  takesReceived = true;
  received: Buffer | null = null;
  receivedOffset = 0;
  fua = false;
  mustKeepAllocated = false;
  expected: Buffer | null = null;
  differs = false;

  // What the host has sent. The transport sets it.
  /** Number of the unit by `lunNumber`; -1 if there can be no such unit. */
  lun = 0;
  readonly cdb = Buffer.alloc(SCSI_CDB_BYTES);
  tag = 0;
  attribute: TaskAttribute = 'simple';
  /** Bytes of data that the host has announced (the expected data transfer length), and whether they are data-out. */
  expectedBytes = 0;
  hasDataOut = false;

  // What `plan` sets.
  /** Bytes of data-out that the engine wants: at most `expectedBytes`, 0 if it wants none. Other bytes that the host sends are dropped. */
  outBytes = 0;
  /** Bytes of the buffer that the task must have before it is executed. They include data-out and data-in. */
  memoryBytes = 0;

  // The answer.
  status = 0;
  readonly sense = Buffer.alloc(SCSI_SENSE_BYTES);
  senseBytes = 0;
  /** Data for the host: `dataBytes` bytes of `data` from `dataOffset` on, at most `expectedBytes`. It may be `buffer` or `received`. */
  data: Buffer = NO_BUFFER;
  dataOffset = 0;
  dataBytes = 0;
  /**
   * Bytes that the command itself would transfer. The residual count is the difference to `expectedBytes`: an overflow if `presentedBytes`
   * is larger, an underflow if it is smaller.
   */
  presentedBytes = 0;

  // The engine's.
  command: Command | null = null;
  unit: LogicalUnit | null = null;
  user: UnitUser | null = null;
  events: TaskEvents | null = null;
  /** The reservations that have admitted the task. */
  reservations: Reservations | null = null;
  readonly range: RangeEntry = new TaskRange(this);
  /** Time (monotonic ms) at which it was executed. */
  begunMs = 0;
  isAnswered = false;
  isAborted = false;
  /** Set while it waits for a proof of its path (rule D1). */
  heldBy: Hold | null = null;
  /** True once a volume has got a change of this task. */
  hasBegun = false;
  /** True while its range is in the lock of its unit. */
  isLocked = false;
  /** The range of the command, and how much of it has been done. */
  firstBytes = 0;
  rangeBytes = 0;
  step = 0;
  /** The field BYTCHK: 0 compares nothing, 1 compares all data, 3 compares one block with each block. */
  check = 0;
  isUnmap = false;
  information = -1;
  field = -1;
  isInCommand = true;

  get conflict(): Conflict {
    return this.command?.conflict ?? 'never';
  }

  goOn(): void {
    this.events?.goOn(this);
  }

  done(status: Status): void {
    this.events?.completed(this, status);
  }

  /** Clears the fields of the object's previous command. */
  renew(): void {
    this.outBytes = 0;
    this.memoryBytes = 0;
    this.status = 0;
    this.senseBytes = 0;
    this.data = NO_BUFFER;
    this.dataOffset = 0;
    this.dataBytes = 0;
    this.presentedBytes = 0;
    this.received = null;
    this.takesReceived = false;
    this.fua = false;
    this.mustKeepAllocated = false;
    this.expected = null;
    this.differs = false;
    this.command = null;
    this.unit = null;
    this.reservations = null;
    this.isAnswered = false;
    this.isAborted = false;
    this.hasBegun = false;
    this.step = 0;
    this.firstBytes = 0;
    this.rangeBytes = 0;
    this.check = 0;
    this.isUnmap = false;
    this.information = -1;
    this.field = -1;
    this.isInCommand = true;
  }

  /** Bytes of data that the host has announced in each direction. */
  get announcedOutBytes(): number {
    return this.hasDataOut ? this.expectedBytes : 0;
  }

  get announcedInBytes(): number {
    return this.hasDataOut ? 0 : this.expectedBytes;
  }

  /** Sets the status and the sense data. */
  settle(outcome: Outcome): void {
    this.status = statusOf(outcome);
    const hasSense = outcome !== GOOD && !isPlainStatus(outcome);
    this.senseBytes = hasSense ? writeSense(this.sense, outcome, this.unit?.modes.isDescriptorSense === true, this) : 0;
    if (outcome !== GOOD) this.dataBytes = 0;
  }

  /** Sets data for the host, at most `allocated` bytes and at most as much as the host has announced. */
  give(data: Buffer, allocated: number): void {
    this.data = data;
    this.dataOffset = 0;
    this.presentedBytes = Math.min(data.length, allocated);
    this.dataBytes = Math.min(this.presentedBytes, this.announcedInBytes);
  }
}
