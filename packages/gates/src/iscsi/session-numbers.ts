// The numbers of a session: which command is next (ExpCmdSN), how many may come (MaxCmdSN), and the number of the next answer (StatSN). Pure.
// Source: RFC 7143, 4.2.2. Invariant: permission to send commands, once given to a host, is never taken back, and the session has tasks for
// all of them.

/** Compares 32-bit numbers that wrap: negative if `one` comes before `other`. */
function compare(one: number, other: number): number {
  return (one - other) | 0;
}

export class SessionNumbers {
  statSn: number;
  expCmdSn: number;
  maxCmdSn: number;

  constructor(firstCmdSn: number, statSn: number) {
    this.expCmdSn = firstCmdSn;
    this.maxCmdSn = firstCmdSn;
    this.statSn = statSn;
  }

  nextStatSn(): number {
    const number = this.statSn;
    this.statSn = (number + 1) >>> 0;
    return number;
  }

  /** `free`: commands that may come now. */
  offer(free: number): void {
    const offered = (this.expCmdSn + free - 1) >>> 0;
    if (compare(offered, this.maxCmdSn) > 0) this.maxCmdSn = offered;
  }

  /**
   * Called with the number of a request that needs its turn. `ignored`: it is outside of the window. `missing`: an earlier request is
   * missing, and it will never come, because a session has only one connection.
   */
  take(cmdSn: number): 'taken' | 'ignored' | 'missing' {
    if (compare(cmdSn, this.expCmdSn) < 0 || compare(cmdSn, this.maxCmdSn) > 0) return 'ignored';
    if (cmdSn !== this.expCmdSn) return 'missing';
    this.expCmdSn = (cmdSn + 1) >>> 0;
    return 'taken';
  }
}
