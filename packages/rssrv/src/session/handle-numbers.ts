// Handle numbers of a session. There are 65,535 of them, and each is used once, so that a late request for a closed handle never reaches
// another volume. The session's owner ends the session before the numbers run out.

import { HANDLE_NUMBERS_LOW_PART, SESSION_QUIET_MS } from './limits.ts';

const HANDLE_MAX = 0xffff;

export class HandleNumbers {
  private next = 1;

  /** The highest possible number. */
  get last(): number {
    return HANDLE_MAX;
  }

  /** True if so few numbers are left that the session should end soon. The next session starts with all numbers. */
  get areLow(): boolean {
    return (this.last - this.next) * HANDLE_NUMBERS_LOW_PART < this.last;
  }

  /**
   * Returns why the session should end now, or null if it should not. `oldestMs`: the age of the session's oldest executing request. While
   * the storage is slow, the session continues, because ending it would block new requests until the oldest one is answered.
   */
  whyEnd(oldestMs: number): string | null {
    if (!this.areLow || oldestMs >= SESSION_QUIET_MS) return null;
    return 'The handle numbers of the session are nearly used up: a new one has others';
  }

  /** Returns true if at least one number is left besides the `promised` ones. */
  hasMoreThan(promised: number): boolean {
    return this.next + promised <= this.last;
  }

  wasGiven(handle: number): boolean {
    return handle > 0 && handle < this.next;
  }

  take(): number {
    return this.next++;
  }
}
