// One SCSI command of a session, with the state of its transport: data that arrives, memory, an answer that is being sent. A
// session re-uses its objects. Invariant: the buffer goes back to the pool when neither the decoder nor the engine nor the output uses it.

import type { DataBuffer } from '@rsio/rsiod/frontends/streams/data-buffers';
import type { WatchedCommand } from '../ports/host-watch.ts';
import { ScsiTask } from '../scsi/scsi-task.ts';
import { NO_TAG } from './wire/constants.ts';

const NO_BUFFER = Buffer.alloc(0);

export class IscsiTask extends ScsiTask implements WatchedCommand {
  /** Number of the object in its session, which is the tag of the requests for its data. */
  readonly index: number;
  phase: WatchedCommand['phase'] = 'idle';
  uses = 0;
  /** True for an immediate command, which does not wait for its turn; the session's window does not count it. */
  isImmediate = false;
  /** True from its arrival until its answer is written. */
  isOpen = false;
  /** True if the task is answered without being executed, as soon as the data that its host is already sending has arrived. */
  isRefused = false;
  /** True if it was given up while a part of its data was arriving. */
  isDropped = false;
  /** True while the engine is executing the task. */
  isExecuting = false;
  /** True while the output sends its data from its buffer. */
  isSending = false;
  /** The bytes of data that have arrived; the end of the data that the host may send now; the tag of that data. */
  arrivedBytes = 0;
  sequenceEnd = 0;
  transferTag = NO_TAG;
  /** Numbers of the next Data-Out, and of the next request for data. */
  dataSn = 0;
  requestSn = 0;
  /** Bytes that it has taken from the budget. */
  budgetBytes = 0;
  /** The step in which its latest data was asked for. */
  askedStep = 0;
  held: DataBuffer | null = null;
  readonly dataSent: () => void;

  constructor(index: number, dataSent: (task: IscsiTask) => void) {
    super();
    this.index = index;
    this.dataSent = () => dataSent(this);
  }

  /** Re-uses the object for another command. The engine sets the other fields when it plans the command. */
  begin(): void {
    this.uses++;
    this.isOpen = true;
    this.isRefused = false;
    this.isDropped = false;
    this.isExecuting = false;
    this.isSending = false;
    this.arrivedBytes = 0;
    this.transferTag = NO_TAG;
    this.dataSn = 0;
    this.requestSn = 0;
    this.budgetBytes = 0;
  }

  hold(held: DataBuffer): void {
    this.held = held;
    this.buffer = held.data;
  }

  /** Releases the data buffer and returns it, or null if the task has none. */
  releaseBuffer(): DataBuffer | null {
    const { held } = this;
    this.held = null;
    this.buffer = NO_BUFFER;
    this.data = NO_BUFFER;
    this.received = null;
    return held;
  }
}
