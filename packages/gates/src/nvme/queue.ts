// The interface through which a controller uses a connection. A connection is one queue of one controller. Invariant: each command gets one
// answer, or none if its connection is closed.

import type { NvmeCommand } from './nvme-command.ts';
import type { Reservations } from '../reservations/reservations.ts';
import type { Code } from './wire/constants.ts';

export interface Queue {
  /** 0 for the admin queue. Valid after Connect. */
  readonly qid: number;
  /** Answers a command without data to the host. `low` and `high` are the first eight bytes of the completion. */
  answer(command: NvmeCommand, code: Code, low?: number, high?: number): void;
  /** Sends as much of `content` to the host as the command asks for, and the completion. */
  answerData(command: NvmeCommand, content: Buffer): void;
  /** Ends the connection because of an error of rsiod itself. */
  failed(thrown: unknown): void;
  /**
   * Ends the connection; nothing that it has received is executed any more. `left` of the controller is called when the connection has
   * finished. `isUnread`: the host may have given the path up (rule D1).
   */
  close(why: string, isUnread?: boolean): void;
  /**
   * Tries to abort a command. Returns `ended` if this queue does not have the command, `taken` if it was only waiting and is now answered
   * with Abort Requested. Returns the command itself if it must end first, because its data was asked for or a volume is executing it.
   */
  abort(cid: number): 'ended' | 'taken' | NvmeCommand;
  /** True if a volume still executes I/O of this queue that the reservations would now refuse. */
  hasRefusedIo(reservations: Reservations, hostId: string): boolean;
}
