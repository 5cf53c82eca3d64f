// Numbers of a session's handles: each is given once, so that no late request of a closed handle meets another volume; there are 65,535.
// Leaves ending the session, when they run low, to that.

import { HANDLE_NUMBERS_LOW_PART, SESSION_QUIET_MS } from './limits.ts';

const HANDLE_MAX = 0xffff;

export class HandleNumbers {
  private next = 1;

  /** The highest there is. */
  get last(): number {
    return HANDLE_MAX;
  }

  /** So few are left that the session should be ended soon: those after it begin anew. */
  get areLow(): boolean {
    return (this.last - this.next) * HANDLE_NUMBERS_LOW_PART < this.last;
  }

  /**
   * Why the session is to end now; null: it is not. `oldestMs`: for how long its oldest request has been executing; while storage is slow
   * it goes on, since nothing new would start until that has answered.
   */
  whyEnd(oldestMs: number): string | null {
    if (!this.areLow || oldestMs >= SESSION_QUIET_MS) return null;
    return 'The handle numbers of the session are nearly used up: a new one has others';
  }

  /** One more than `promised` can be given. */
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
