// Fused commands: a Compare and the Write that follows it in the same queue, executed as one. Source: NVMe Base 2.0, 3.4.2 (fused operations).
// Invariants: two commands are a pair only if no other command came between them; if one command of a pair is answered on its own, the
// other is never executed.

import type { NvmeCommand } from './nvme-command.ts';
import { CODE, type Code, FUSE } from './wire/constants.ts';

export class FusedPairs {
  /** The first command of a pair, if it was the latest command to arrive; `failed` if it has been answered already. */
  private first: NvmeCommand | 'failed' | null = null;
  private readonly answer: (command: NvmeCommand, code: Code) => void;

  constructor(answer: (command: NvmeCommand, code: Code) => void) {
    this.answer = answer;
  }

  /** Called for each command in the order of the queue. Returns the code that refuses it; null if it may go on. */
  arrived(command: NvmeCommand): Code | null {
    const { first } = this;
    this.first = null;
    if (command.fuse !== FUSE.SECOND) {
      if (first !== null && first !== 'failed') this.fail(first, CODE.MISSING_FUSED);
      if (command.fuse === FUSE.FIRST) this.first = command;
      return null;
    }
    if (first === null || first === 'failed') return first === null ? CODE.MISSING_FUSED : CODE.FAILED_FUSED;
    first.partner = command;
    command.partner = first;
    return null;
  }

  /** Called when a command is answered on its own. */
  answered(command: NvmeCommand): void {
    if (this.first === command) this.first = 'failed';
    const { partner } = command;
    if (partner === null) return;
    command.partner = null;
    partner.partner = null;
    this.fail(partner, CODE.FAILED_FUSED);
  }

  /**
   * If the command's data is still on its way, the command is answered when the data has arrived, because the host sends the data that it
   * was asked for.
   */
  private fail(command: NvmeCommand, code: Code): void {
    if (command.phase === 'executing') this.answer(command, code);
    else command.failure = code;
  }
}
