// Tells whether any promise was made or settled, so that the world stops for promises only where some may go on: they do in few of its
// events, and each stop costs as much as several of them. Invariant: while `haveMoved` is false, nothing waits to be called by a promise.

import { promiseHooks } from 'node:v8';

export class PromiseWatch {
  /** Since somebody has set it to false. */
  haveMoved = true;
  /** Ends the watch. */
  readonly stop: () => void;

  constructor() {
    const moved = (): void => {
      this.haveMoved = true;
    };
    this.stop = promiseHooks.createHook({ init: moved, settled: moved }) as () => void;
  }

  /** Until every promise has gone as far as it can: all of that happens in this turn of the event loop. */
  pass(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}
