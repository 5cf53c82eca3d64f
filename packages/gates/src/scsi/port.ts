// The interface between the SCSI engine and its transport (iSCSI), for each nexus and each task; unit-port.ts has the interface to the
// gate, for each logical unit. The engine has no transport, no clock and no timers, so that tests drive it in memory. Invariants: the
// engine keeps only tasks that were passed to `execute`; each executed task is answered at most once and left exactly once; a task that was
// aborted, or whose nexus has ended, is left without an answer.

import type { GatePath } from '../order/gate-path.ts';
import type { ScsiTask } from './scsi-task.ts';

export interface ScsiTargetOptions {
  /** True if another gate can offer the same volumes to hosts; units then have target port groups. */
  readonly hasPartner: boolean;
  /** Number of this gate among the gates of its target (1 to GATE_MEMBERS_MAX), which is the number of its target port group. */
  readonly member: number;
  /** Name of the iSCSI target, without a port. */
  readonly targetName: string;
  /** Numbers of the target's ports (portal groups) at this gate. */
  ports(): readonly number[];
  readonly version: string;
  nowMs(): number;
}

/** Functions of the transport for the tasks of a nexus. None of these throws. */
export interface TaskOwner {
  /**
   * Sends the status of the task, with its sense data or its data (see ScsiTask). The data of a task in `received` is valid only during the
   * call. `left` follows, in the same turn of the event loop or later.
   */
  answer(task: ScsiTask): void;
  /** Neither the engine nor a volume uses the task and its buffer any more. */
  left(task: ScsiTask): void;
  /**
   * Returns false if the host may have repeated its tasks meanwhile (rule D1), or if the connection is closed; nothing more is then
   * executed.
   */
  mayContinue(): boolean;
  /**
   * Drops, without an answer, tasks that have not been passed to `execute` yet: those of unit `lun` (null: of all units) with the tag `tag`
   * (null: with any tag). Returns true if there were any.
   */
  drop(lun: number | null, tag: number | null): boolean;
  /** Closes the connection without an answer, because I/O has not ended in GATE_QUIESCE_MS, or because this initiator must not go on. */
  close(why: string): void;
}

/** Identity of a nexus. A session of iSCSI is one nexus. */
export interface NexusOptions {
  /** Name of the initiator. */
  readonly initiatorName: string;
  /** The name of the initiator port: the initiator's name, `,i,0x`, and the 12 hexadecimal digits of the ISID. */
  readonly initiatorPort: string;
  /** The relative target port identifier (portal group tag), 1 to 65535. */
  readonly targetPort: number;
  readonly path: GatePath;
  readonly owner: TaskOwner;
}

export type TaskFunction =
  | 'abort task'
  | 'abort task set'
  | 'clear task set'
  | 'lun reset'
  | 'target warm reset'
  | 'target cold reset'
  | 'query task'
  | 'query task set';

/** A task management function. `lun` is as in ScsiTask; it has no meaning for resets of the target. */
export interface TaskManagement {
  readonly what: TaskFunction;
  readonly lun: number;
  /** The tag of the task; only for ABORT TASK and QUERY TASK. */
  readonly tag: number;
  /**
   * Called when the I/O that the function applies to has ended, or is proved unsent. If that takes longer than GATE_QUIESCE_MS, `done` is
   * never called; instead, the owner of the nexus is asked to close the connection.
   */
  done(answer: 'complete' | 'succeeded' | 'no task' | 'no unit'): void;
}

/** A nexus, made by `begin` of ScsiTarget. The transport calls `end` once. */
export interface ScsiNexus {
  /**
   * Called when a command has arrived, before its data. Sets `outBytes` and `memoryBytes` of the task. Returns false if the command is
   * refused. Status and sense are then set; the transport sends them and does not execute the task. A write whose data has arrived with the
   * command may be planned and executed at once.
   */
  plan(task: ScsiTask): boolean;
  /**
   * Called when the task has its buffer of `memoryBytes`, with `outBytes` of data in it. The task then belongs to the engine until `left`.
   */
  execute(task: ScsiTask): void;
  manage(request: TaskManagement): void;
  /**
   * The session has ended. Its tasks are not answered any more. Calls `done` when no volume executes any of them. A session that replaces
   * it must not be let in earlier.
   */
  end(done: () => void): void;
  /** Number of tasks that have been passed to `execute` and have not ended. */
  readonly inVolume: number;
}
