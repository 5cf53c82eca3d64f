// What the data of all requests of a door takes in memory, against one bound, and whose turn it is when it is reached: first come, first served,
// one request in a turn. Pure. A connection of whose data nothing is out always gets room for one small request, so that none can starve another,
// and for a large one as long as the reserve lasts: whoever keeps the rest for ever (a volume that hangs, a client that does not read) stops nobody.
// Invariants: never more is taken than the limit, the reserve and a small request for each; what is taken is given back once; who waits hears when
// there may be room.

export interface BudgetUser {
  /** There may be room now: it asks again, if it still wants to. */
  roomAgain(): void;
}

export interface BudgetBounds {
  readonly limitBytes: number;
  /** Beyond the limit, for large requests of those of whose data nothing is out. */
  readonly reserveBytes: number;
  /** At most that is small. */
  readonly smallBytes: number;
}

export class MemoryBudget {
  /** Taken now. */
  usedBytes = 0;
  private readonly bounds: BudgetBounds;
  private readonly schedule: (fire: () => void) => void;
  private readonly waiting: BudgetUser[] = [];
  /** Who was called, and has not asked yet. */
  private turn: BudgetUser | null = null;
  private isScheduled = false;

  /** `schedule`: calls back once, later: nobody is called from within another connection's work. */
  constructor(bounds: BudgetBounds, schedule: (fire: () => void) => void) {
    this.bounds = bounds;
    this.schedule = schedule;
  }

  get waits(): number {
    return this.waiting.length;
  }

  /** `isAlone`: nothing that it has taken is out. False: it is called when there may be room. */
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
    this.usedBytes -= bytes;
    this.wakeLater();
  }

  /** It asks no more. */
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

  /** Until the first one does not get what it wants: nobody who wants less overtakes it. */
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
