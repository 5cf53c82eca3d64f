// Bounds the total memory that the requests of the NBD frontend use. When the bound is reached, connections take turns: first come, first
// served, one request per turn. Pure. A connection that holds no memory always gets room for one small request, and for a large one as long
// as the reserve lasts. Connections that never give their memory back, because a volume hangs or a client does not read, therefore cannot
// starve the others. Invariants: the memory that is taken never exceeds the sum of the limit, the reserve and one small request for each
// connection. Each byte that is taken is given back once. Waiting users are called when there may be room.

export interface BudgetUser {
  /** Called when there may be room. The user calls `take` again if it still needs memory. */
  roomAgain(): void;
}

export interface BudgetBounds {
  readonly limitBytes: number;
  /** Additional bytes beyond the limit. Only a large request of a user that holds no memory may take them. */
  readonly reserveBytes: number;
  /** Maximum size of a small request. */
  readonly smallBytes: number;
}

export class MemoryBudget {
  /** Bytes that are currently taken. */
  usedBytes = 0;
  private readonly bounds: BudgetBounds;
  private readonly schedule: (fire: () => void) => void;
  private readonly waiting: BudgetUser[] = [];
  /** The user that has been called because there may be room, and that has not called `take` yet. */
  private turn: BudgetUser | null = null;
  private isScheduled = false;

  /** `schedule` must call `fire` once, in a later event, so that no user is called while another connection is working. */
  constructor(bounds: BudgetBounds, schedule: (fire: () => void) => void) {
    this.bounds = bounds;
    this.schedule = schedule;
  }

  get waits(): number {
    return this.waiting.length;
  }

  /**
   * Takes memory for a user. `isAlone` is true if the user holds no memory. Returns false if there is no room; the user's `roomAgain` is
   * called later, when there may be room.
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
    this.usedBytes -= bytes;
    this.wakeLater();
  }

  /** Removes the user from the waiting users. */
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
   * Calls the waiting users in order until one of them gets no room. Users that wait behind that one are not called, so that small requests
   * do not overtake a large request.
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
