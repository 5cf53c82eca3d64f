// Handle numbers of a session. Each is given once, so that a late request of a closed handle never meets another volume; there are 65,535. The
// session is ended by its owner before they run out.

import { HANDLE_NUMBERS_LOW_PART, SESSION_QUIET_MS } from './limits.ts';

const HANDLE_MAX = 0xffff;

export class HandleNumbers {
  private next = 1;

  /** The highest number. */
  get last(): number {
    return HANDLE_MAX;
  }

  /** So few are left that the session should end soon; the next one has all of them again. */
  get areLow(): boolean {
    return (this.last - this.next) * HANDLE_NUMBERS_LOW_PART < this.last;
  }

  /**
   * Why the session should end now; null: it should not. `oldestMs`: the age of its oldest executing request. While storage is slow the session goes
   * on, because ending it would block new requests until that one is answered.
   */
  whyEnd(oldestMs: number): string | null {
    if (!this.areLow || oldestMs >= SESSION_QUIET_MS) return null;
    return 'The handle numbers of the session are nearly used up: a new one has others';
  }

  /** Whether one number is left besides `promised` ones. */
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
