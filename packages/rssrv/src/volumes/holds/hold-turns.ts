// Executes the changes to the holds of a volume one after another, and remembers the volume's take-over in progress. holds.ts makes the
// changes. Invariant: no two changes to the holds of one volume overlap, and a change runs even if the previous change has failed.

import { assert, counted } from '@rsio/base/lib/assert';
import type { Claimant, VolumeHolds } from './hold-rules.ts';

/** The queue of changes to one volume's holds. */
export interface HoldChanges {
  last: Promise<unknown>;
  waiting: number;
  isRunning: boolean;
  /** The take-over in progress, with the volume's earlier holds; null if no take-over is in progress. */
  takeOver: { readonly taker: Claimant; readonly entry: VolumeHolds } | null;
}

export class HoldTurns {
  private readonly changes = new Map<string, HoldChanges>();

  /** Returns the waiting and running changes of a volume; undefined if no change of the volume waits or runs. */
  of(volumeId: string): Readonly<HoldChanges> | undefined {
    return this.changes.get(volumeId);
  }

  inTurn<T>(volumeId: string, work: (own: HoldChanges) => Promise<T>): Promise<T> {
    const turns = this.changes.get(volumeId) ?? { last: Promise.resolve(), waiting: 0, isRunning: false, takeOver: null };
    this.changes.set(volumeId, turns);
    turns.waiting++;
    const run = async (): Promise<T> => {
      assert(!turns.isRunning, 'Two changes of the holds of a volume overlap');
      assert(this.changes.get(volumeId) === turns, 'A change of holds waits in a queue that is gone');
      turns.isRunning = true;
      try {
        return await work(turns);
      } finally {
        turns.isRunning = false;
        turns.takeOver = null;
        turns.waiting = counted(turns.waiting - 1, 'waiting changes of holds');
        if (turns.waiting === 0) this.changes.delete(volumeId);
      }
    };
    const mine = turns.waiting === 1 ? run() : turns.last.then(run);
    turns.last = mine.catch(() => undefined);
    return mine;
  }
}
