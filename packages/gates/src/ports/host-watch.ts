// Notices that the host of a connection neither sends data that it was asked for nor takes its answers. Such a host would withhold memory
// from the others for ever. Invariant: a host is stuck only if it has owed the same kind of transfer for GATE_TRANSFER_MS, and nothing of
// that kind has moved; the time that a volume takes does not count.

import { GATE_TRANSFER_MS } from '../limits.ts';

/** A command of a host. `receiving`: its data is still expected; `waiting`: it waits for memory; `answered`: its answer is being sent. */
export interface WatchedCommand {
  readonly phase: 'idle' | 'receiving' | 'waiting' | 'executing' | 'answered';
  /** Number of commands for which the object has been used. */
  readonly uses: number;
}

class Direction {
  hasMoved = true;
  private sinceMs = 0;

  isStuck(nowMs: number, isOwed: boolean): boolean {
    if (this.hasMoved || !isOwed) this.sinceMs = nowMs;
    this.hasMoved = false;
    return nowMs - this.sinceMs >= GATE_TRANSFER_MS;
  }
}

export class HostWatch {
  /**
   * The number of commands that wait for memory, and the time for which the first of them has been the first, as of the last call of
   * `stuck`.
   */
  waits = 0;
  waitedMs = 0;
  private first: WatchedCommand | undefined;
  private uses = 0;
  private firstMs = 0;
  private readonly arriving = new Direction();
  private readonly leaving = new Direction();

  dataArrived(): void {
    this.arriving.hasMoved = true;
  }

  answersLeft(): void {
    this.leaving.hasMoved = true;
  }

  /**
   * Called now and then with all commands and the number of answers that have not been sent. Returns why the connection is to be destroyed;
   * null if it is not stuck. `first`: the first command that waits for memory. A closed connection (`isOpen` is false) still has to send
   * the reason.
   */
  stuck(nowMs: number, commands: readonly WatchedCommand[], unanswered: number, isOpen: boolean, first?: WatchedCommand): string | null {
    let [begun, receiving, large, waits] = [0, 0, 0, 0];
    for (const { phase } of commands) {
      if (phase !== 'idle') begun++;
      if (phase === 'receiving') receiving++;
      if (phase === 'answered') large++;
      if (phase === 'waiting') waits++;
    }
    this.look(nowMs, first, waits);
    const owesData = this.arriving.isStuck(nowMs, receiving > 0);
    const takesNothing = this.leaving.isStuck(nowMs, large > 0 || unanswered > begun || !isOpen);
    if (!owesData && !takesNothing) return null;
    return `its host has ${owesData ? 'sent no data that it owes' : 'taken no answers'} for ${GATE_TRANSFER_MS / 1000} s`;
  }
  private look(nowMs: number, first: WatchedCommand | undefined, waits: number): void {
    this.waits = waits;
    if (first !== this.first || first?.uses !== this.uses) this.firstMs = nowMs;
    this.first = first;
    this.uses = first?.uses ?? 0;
    this.waitedMs = first === undefined ? 0 : nowMs - this.firstMs;
  }
}
