// The interface of a connection for its controller. A connection is one queue of one controller. Invariant: each command gets one answer,
// or none if its connection is closed.

import type { NvmeCommand } from './nvme-command.ts';
import type { Reservations } from '../reservations/reservations.ts';
import type { Code } from './wire/constants.ts';

export interface Queue {
  /** 0 for the admin queue. Valid after Connect. */
  readonly qid: number;
  /** Answers a command without data to the host. `low` and `high` are the first eight bytes of the completion. */
  answer(command: NvmeCommand, code: Code, low?: number, high?: number): void;
  /** Sends `content` to the host, as much of it as the command asks for, and the completion. */
  answerData(command: NvmeCommand, content: Buffer): void;
  /** Ends the connection because of an error of rsiod itself. */
  failed(thrown: unknown): void;
  /** Ends the connection; nothing that it has received is executed any more. `left` of the controller is called when it has finished. */
  close(why: string): void;
  /**
   * Returns what became of a command: `ended` if this queue does not have it, `taken` if it was unsent and is answered with Abort Requested;
   * the command itself if it must end first, because its data was asked for or a volume has it.
   */
  abort(cid: number): 'ended' | 'taken' | NvmeCommand;
  /** True if a volume has I/O of the queue that the reservations refuse to its host now. */
  hasRefusedIo(reservations: Reservations, hostId: string): boolean;
}
