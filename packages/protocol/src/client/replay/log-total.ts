// What all replay logs of a client take together, against one bound: `log-total`. Each log tells what it takes and has reserved; what finds no
// room here waits for its own log alone or goes with FUA (log-admission.ts), so that no volume ever waits for another. Leaves which log is flushed
// to whoever listens. Invariant: without FUA nothing is reserved past the limit; a limit that is made smaller takes nothing out.

import { LOG_TOTAL_STEPS } from './limits.ts';

export class LogTotal {
  /** What the logs take and have reserved. */
  bytes = 0;
  /** Called within a request's answer, when more than half is taken: seldom, once for each further part of it. */
  whenHigh: (() => void) | null = null;
  /** Called when the first byte is taken, also later when all had been given back. */
  whenUsed: (() => void) | null = null;
  /** Called when the last log that takes something has ended. */
  whenOver: (() => void) | null = null;
  private limit: number;
  private reportedAtBytes = 0;

  constructor(limitBytes: number) {
    this.limit = limitBytes;
  }

  get limitBytes(): number {
    return this.limit;
  }

  set limitBytes(bytes: number) {
    this.limit = bytes;
    this.reportedAtBytes = 0;
  }

  hasRoom(bytes: number): boolean {
    return this.bytes + bytes <= this.limit;
  }

  /** A log that took so much has ended. */
  leave(bytes: number): void {
    this.change(-bytes);
    if (this.bytes === 0) this.whenOver?.();
  }

  /** A log takes so much more, or less. */
  change(bytes: number): void {
    const before = this.bytes;
    this.bytes += bytes;
    if (before === 0 && bytes > 0) this.whenUsed?.();
    const step = this.limit / LOG_TOTAL_STEPS;
    if (this.bytes * 2 <= this.limit) this.reportedAtBytes = 0;
    else if (bytes < 0) this.reportedAtBytes = Math.min(this.reportedAtBytes, this.bytes + step);
    else if (this.bytes >= this.reportedAtBytes) {
      this.reportedAtBytes = this.bytes + step;
      this.whenHigh?.();
    }
  }
}
