// Tells whether any promise was created or settled, so that the world waits for promises only where some may continue. Few events have any,
// and each wait costs as much as several events. Invariant: while `haveMoved` is false, no promise callback is pending.

import { promiseHooks } from 'node:v8';

export class PromiseWatch {
  /** Since it was last set to false. */
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
