// Waits by the injected clock: a pause, and a limit for something else that is awaited. Invariant: when `within` has settled, its timer no
// longer exists; what it waited for goes on, and its later outcome is ignored.

import type { Clock } from './clock.ts';

/** Resolves after `delayMs`. */
export function sleep(clock: Pick<Clock, 'after'>, delayMs: number): Promise<void> {
  return new Promise((resolve) => void clock.after(delayMs, resolve));
}

/** Settles like `work`, or after `limitMs` with the result of `late`, or with its error if `late` throws. */
export function within<T, L>(clock: Pick<Clock, 'after'>, limitMs: number, work: Promise<T>, late: () => L): Promise<T | L> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(limitMs, () => {
      try {
        resolve(late());
      } catch (thrown) {
        reject(thrown as Error);
      }
    });
    work.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (thrown: unknown) => {
        timer.cancel();
        reject(thrown as Error);
      },
    );
  });
}
