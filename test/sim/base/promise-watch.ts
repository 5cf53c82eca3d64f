// Tells whether any promise was created or settled, so that the world waits for promises only after events that involve promises. Few
// events involve promises, and each wait costs as much as several events. Invariant: while `haveMoved` is false, no promise callback is
// pending.

import { promiseHooks } from 'node:v8';

export class PromiseWatch {
  /** Whether a promise was created or settled since the world last set this flag to false. */
  haveMoved = true;
  readonly stop: () => void;

  constructor() {
    const moved = (): void => {
      this.haveMoved = true;
    };
    this.stop = promiseHooks.createHook({ init: moved, settled: moved }) as () => void;
  }

  /** Resolves when no continuation of a promise is left to run. All continuations run in this turn of the event loop. */
  pass(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}
