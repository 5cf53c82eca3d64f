// Assigns the handle numbers of a session. A session has 65,535 handle numbers and uses each of them only once, so that a late request for
// a closed handle never reaches another volume. The server ends the session before the numbers run out. Rules: R7.

import { assert } from '@rsio/base/lib/assert';
import { HANDLE_NUMBERS_LOW_PART, SESSION_QUIET_MS } from './limits.ts';

const HANDLE_MAX = 0xffff;

export class HandleNumbers {
  private next = 1;

  /** The highest possible number. */
  get last(): number {
    return HANDLE_MAX;
  }

  /** True if so few unused numbers are left that the session should end soon. */
  get areLow(): boolean {
    return (this.last - this.next) * HANDLE_NUMBERS_LOW_PART < this.last;
  }

  /**
   * Returns the reason why the session should end now, or null if it should continue. `oldestMs` is the age of the session's oldest
   * executing request. While requests are slow, the session continues, because ending the session would delay new requests.
   */
  whyEnd(oldestMs: number): string | null {
    if (!this.areLow || oldestMs >= SESSION_QUIET_MS) return null;
    return 'The handle numbers of the session are nearly used up: a new one has others';
  }

  /**
   * Returns true if more than `promised` unused numbers are left. `promised` is the number of OPENs in progress, each of which will use one
   * number.
   */
  hasMoreThan(promised: number): boolean {
    return this.next + promised <= this.last;
  }

  wasGiven(handle: number): boolean {
    return handle > 0 && handle < this.next;
  }

  take(): number {
    assert(this.next <= this.last, 'The session has no handle number left');
    return this.next++;
  }
}
