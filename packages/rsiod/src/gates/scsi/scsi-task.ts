// One SCSI command of a host. The volume sees the object as a VolumeIo. A transport extends it, re-uses its objects, and owns their buffers;
// each object creates its callbacks only once. Invariant: the fields of VolumeIo do not change from `submit` until `done`.

import type { Status } from '@rsio/protocol/wire/status';
import type { VolumeIo, VolumeOp } from '../../volumes/frontend-volume.ts';
import { SCSI_CDB_BYTES, SCSI_SENSE_BYTES } from '../limits.ts';

const NO_BUFFER = Buffer.alloc(0);

/** Who gets the completion of a request to a volume. The engine sets it. */
export interface TaskEvents {
  completed(task: ScsiTask, status: Status): void;
}

/** Order of tasks: `ordered` and `head` as in SAM. */
export type TaskAttribute = 'simple' | 'ordered' | 'head';

export class ScsiTask implements VolumeIo {
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
  /** Bytes that the host has announced (the expected data transfer length), and in which direction. */
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
   * Bytes that the command as such transfers. The residual count is its difference to `expectedBytes`: an overflow if it is larger, an
   * underflow if it is smaller.
   */
  presentedBytes = 0;

  // The engine's.
  events: TaskEvents | null = null;
  /** Time (monotonic ms) at which it was executed. */
  begunMs = 0;
  isAnswered = false;
  isAborted = false;
  /** Step of a command with several requests. */
  step = 0;

  done(status: Status): void {
    this.events?.completed(this, status);
  }
}
