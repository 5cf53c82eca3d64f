// The state file of a simulated server, in place of the production StateFile: saving takes time. If the listener or the machine crashes
// during a save, the file has the old content or the new content, never a mixture. The listener decides what the file contains.

import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { SimProcess } from '../base/sim-clock.ts';

export class SimStateFile<T> {
  /** The durable content; null: no content was ever saved. */
  kept: T | null = null;
  /** Notified when content is durable. */
  whenKept: (content: T) => void = () => undefined;
  private readonly random: SeededRandom;
  private underWay: T | null = null;

  constructor(random: SeededRandom) {
    this.random = random;
  }

  /** Opens the file for one listener; a save takes at most `maxMs`. `current` returns the content when a write begins. */
  openedBy(process: SimProcess, maxMs: number, current: () => T): { save(): Promise<void> } {
    let writing = Promise.resolve();
    const write = (): Promise<void> =>
      new Promise((resolve) => {
        const content = structuredClone(current());
        this.underWay = content;
        process.after(this.random.unit() * maxMs, () => {
          this.keep(content);
          resolve();
        });
      });
    return {
      save: () => {
        writing = writing.then(write);
        return writing;
      },
    };
  }

  /** Called when the process of the listener has died, perhaps during a save. */
  crashed(): void {
    if (this.underWay !== null && this.random.chance(0.5)) this.keep(this.underWay);
    this.underWay = null;
  }

  private keep(content: T): void {
    this.underWay = null;
    this.kept = content;
    this.whenKept(content);
  }
}
