// Bounds the total memory that the requests of the NBD frontend use. When the bound is reached, connections take turns in the order in
// which they began to wait, with one request per turn. Pure. A connection that holds no memory always gets room for a small request. A
// large request gets room as long as the reserve lasts. A connection that never gives its memory back therefore cannot starve the other
// connections. Invariants: the memory taken never exceeds the limit plus the reserve plus one small request for each connection. Each byte
// that is taken is given back once.

import { counted } from '@rsio/base/lib/assert';

export interface BudgetUser {
  /** Called when there may now be room; the user calls `take` again if the user still needs memory. */
  roomAgain(): void;
}

export interface BudgetBounds {
  readonly limitBytes: number;
  /** Additional bytes beyond the limit for large requests of users that hold no memory. */
  readonly reserveBytes: number;
  readonly smallBytes: number;
}

export class MemoryBudget {
  usedBytes = 0;
  private readonly bounds: BudgetBounds;
  private readonly schedule: (fire: () => void) => void;
  private readonly waiting: BudgetUser[] = [];
  /** The user whose `roomAgain` is running and who has not called `take` yet. */
  private turn: BudgetUser | null = null;
  private isScheduled = false;

  /** `schedule` must call `fire` once, in a later event, so that no user is called while another user is working. */
  constructor(bounds: BudgetBounds, schedule: (fire: () => void) => void) {
    this.bounds = bounds;
    this.schedule = schedule;
  }

  get waits(): number {
    return this.waiting.length;
  }

  /**
   * Takes memory for a user. `isAlone` is true if the user holds no memory. Returns false if there is no room; the user's `roomAgain` is
   * called later.
   */
  take(user: BudgetUser, bytes: number, isAlone: boolean): boolean {
    const isTurn = this.waiting.length === 0 || this.turn === user;
    this.turn = null;
    const { limitBytes, reserveBytes, smallBytes } = this.bounds;
    const behindBytes = this.usedBytes + bytes;
    const fits = isAlone ? bytes <= smallBytes || behindBytes <= limitBytes + reserveBytes : isTurn && behindBytes <= limitBytes;
    if (!fits) {
      if (!this.waiting.includes(user)) this.waiting.push(user);
      return false;
    }
    this.forget(user);
    this.usedBytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.usedBytes = counted(this.usedBytes - bytes, 'bytes of the memory budget');
    this.wakeLater();
  }

  forget(user: BudgetUser): void {
    if (this.waiting.length === 0) return;
    const at = this.waiting.indexOf(user);
    if (at < 0) return;
    this.waiting.splice(at, 1);
    this.wakeLater();
  }

  private wakeLater(): void {
    if (this.waiting.length === 0 || this.isScheduled) return;
    this.isScheduled = true;
    this.schedule(() => {
      this.isScheduled = false;
      this.wake();
    });
  }

  /**
   * Calls the waiting users in order until one of them gets no room. Users behind a user without room are not called, so that small
   * requests do not overtake a large request.
   */
  private wake(): void {
    for (let called = this.waiting.length; called > 0; called--) {
      const [user] = this.waiting;
      if (user === undefined) return;
      this.turn = user;
      user.roomAgain();
      this.turn = null;
      if (this.waiting[0] === user) return;
    }
  }
}
