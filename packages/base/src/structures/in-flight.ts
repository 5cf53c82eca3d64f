// Counts operations in flight, and reports when the last operation has completed, so that the owner can close the resources that the
// operations use. Counting allocates nothing.

import { counted } from '../lib/assert.ts';

export class InFlight {
  /** Number of operations that have begun but not completed. */
  count = 0;
  private idle: (() => void)[] = [];

  begin(): void {
    this.count++;
  }

  end(): void {
    this.count = counted(this.count - 1, 'operations in flight');
    if (this.count === 0 && this.idle.length > 0) for (const resolve of this.idle.splice(0)) resolve();
  }

  whenIdle(): Promise<void> {
    return this.count === 0 ? Promise.resolve() : new Promise((resolve) => this.idle.push(resolve));
  }
}
