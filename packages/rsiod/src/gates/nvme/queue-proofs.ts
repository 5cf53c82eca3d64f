// What one queue of a controller proves about its path: that its host has received an answer. Invariant: on I/O queues, answers are remembered
// only while a change waits for a proof, so that they cost nothing otherwise. Rules: D1.

import type { Moment } from '../order/gate-path.ts';
import type { Controller } from './controller.ts';
import type { NvmeCommand } from './nvme-command.ts';
import { Replies } from './replies.ts';
import { ADMIN } from './wire/constants.ts';

export class QueueProofs {
  private readonly controller: Controller;
  private readonly isAdmin: boolean;
  /** The moment of the answer to Connect, until a command shows that the host has received it. */
  private welcome: Moment | null;
  private readonly replies = new Replies();

  /** The login has succeeded, and its last answer is sent now. */
  constructor(controller: Controller, isAdmin: boolean) {
    this.controller = controller;
    this.isAdmin = isAdmin;
    this.welcome = controller.path.moment;
  }

  /** A command has arrived: its host has the answer to Connect, and an earlier answer under the same identifier. */
  arrived(command: NvmeCommand): void {
    // The rest of an authentication comes before its last answer.
    if (command.isAuth) return;
    const { controller, welcome } = this;
    this.welcome = null;
    if (welcome !== null) controller.proves(welcome, false);
    const reply = this.replies.arrived(command.cid);
    if (reply !== null) controller.proves(reply, this.isAdmin && command.opcode === ADMIN.ASYNC_EVENT);
  }

  /** A command is answered now. */
  answered({ cid }: NvmeCommand): void {
    const { path } = this.controller;
    if (this.isAdmin || path.holds.size > 0) this.replies.answered(cid, path.moment);
  }
}
