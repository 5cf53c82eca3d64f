// A call from an early object of a daemon to an object that is made later. The early object gets the signal as one of its ports; the later
// phase listens when it is built. The objects of a daemon therefore never refer to objects of later phases. Invariant: a signal has exactly
// one listener, from before its first call on: a call that nobody hears would be a change that nobody makes.

import { assert } from './assert.ts';

export class Signal<Args extends readonly unknown[] = [], Answer = void> {
  private readonly what: string;
  private listener: ((...args: Args) => Answer) | null = null;

  /** `what`: what the signal says, for the text of a failed assertion. */
  constructor(what: string) {
    this.what = what;
  }

  listen(listener: (...args: Args) => Answer): void {
    assert(this.listener === null, `Signal '${this.what}' gets a second listener`);
    this.listener = listener;
  }

  /** Calls the listener and returns its answer. This is a value, so that it can be given to an object as a port. */
  readonly send = (...args: Args): Answer => {
    const { listener } = this;
    assert(listener !== null, `Signal '${this.what}' has no listener`);
    return listener(...args);
  };

  /** Must be called when all objects of the daemon are made. */
  assertHeard(): void {
    assert(this.listener !== null, `Signal '${this.what}' has no listener`);
  }
}
