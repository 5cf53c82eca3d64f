// The command objects of one connection, which uses each of them again.
// Invariant: the number of an object is its tag, and its place in `all`.

import { NvmeCommand, type NvmeCommandEvents } from './nvme-command.ts';

export class CommandPool {
  readonly all: NvmeCommand[] = [];
  private readonly idle: NvmeCommand[] = [];
  private readonly owner: NvmeCommandEvents;

  constructor(owner: NvmeCommandEvents) {
    this.owner = owner;
  }

  /** Returns null if `most` commands are in use. */
  take(most: number): NvmeCommand | null {
    const idle = this.idle.pop();
    if (idle !== undefined) return idle;
    if (this.all.length >= most) return null;
    const made = new NvmeCommand(this.owner, this.all.length);
    this.all.push(made);
    return made;
  }

  giveBack(command: NvmeCommand): void {
    this.idle.push(command);
  }
}
