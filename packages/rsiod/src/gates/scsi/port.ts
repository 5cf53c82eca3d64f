// The interface between the SCSI engine and what carries it (iSCSI): what a transport gives for each nexus and each task; unit-port.ts has what
// a gate gives for each logical unit. Invariants: the engine keeps no task that it has not been given by `execute`; each executed task is answered at most
// once and left exactly once; a task that was aborted, or whose nexus has ended, is left without an answer.

import type { ScsiTask } from './scsi-task.ts';

export interface ScsiTargetOptions {
  /** True if another gate can give the same volumes to hosts: then units have target port groups. */
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

/** What a transport does for the tasks of a nexus. None of these throws. */
export interface TaskOwner {
  /**
   * Sends the status of the task, with its sense data or its data (see ScsiTask). The data of a task in `received` is valid only during the
   * call. `left` follows, in the same turn of the event loop or later.
   */
  answer(task: ScsiTask): void;
  /** Neither the engine nor a volume uses the task and its buffer any more. */
  left(task: ScsiTask): void;
  /** False if the host may have repeated its tasks meanwhile (rule D1), or if the connection is closed: then nothing more is executed. */
  mayContinue(): boolean;
  /**
   * Gives up the tasks that have not been given to `execute` yet, and gives no answer to them: the one with this tag, or all if it is null,
   * of the unit with this number, or of all if it is null. Returns true if there were any.
   */
  drop(lun: number | null, tag: number | null): boolean;
  /** I/O has not ended in GATE_QUIESCE_MS, or this initiator must not go on: closes the connection without an answer. */
  close(why: string): void;
}

/** Identity of a nexus. A session of iSCSI is one nexus. */
export interface NexusOptions {
  /** Name of the initiator. */
  readonly initiatorName: string;
  /** The name, and `,i,0x` with the 12 hexadecimal digits of the ISID: the name of the initiator port. */
  readonly initiatorPort: string;
  /** The relative target port identifier (portal group tag), 1 to 65535. */
  readonly targetPort: number;
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
   * Called when the I/O behind the function has ended, or is proved unsent. If that takes longer than GATE_QUIESCE_MS, it is never called:
   * the owner of the nexus is asked to close.
   */
  done(answer: 'complete' | 'succeeded' | 'no task' | 'no unit'): void;
}

/** A nexus, made by `begin` of ScsiTarget. The transport calls `end` once. */
export interface ScsiNexus {
  /**
   * Called when a command has arrived, before its data. Sets `outBytes` and `memoryBytes` of the task. Returns false if the command is
   * refused: status and sense are set, the transport sends them, and the task is not executed. A write whose data has arrived with the
   * command may be planned and executed at once.
   */
  plan(task: ScsiTask): boolean;
  /** Called when the buffer of `memoryBytes` is there, and `outBytes` of data are in it. The task is then the engine's until `left`. */
  execute(task: ScsiTask): void;
  manage(request: TaskManagement): void;
  /**
   * The session has ended. Its tasks are not answered any more. Calls `done` when no volume has anything of them. A session that replaces
   * it must not be let in earlier.
   */
  end(done: () => void): void;
  /** Tasks that were executed and not left yet. */
  readonly inVolume: number;
}
