// Decides when the next piece may be copied, and how long it may be. A fixed rate limits copies like a token bucket. Without a fixed rate,
// copies yield to users: while users' I/O is under way, pieces are few and short. Invariant: copies never stop for good.

import {
  PIECE_BUSY_BYTES,
  PIECE_MAX_BYTES,
  PIECE_SMALL_BYTES,
  PIECES_BUSY_MAX,
  PIECES_MAX,
  RATE_BURST_MS,
  RATE_PIECE_MS,
  USERS_RECENT_MS,
} from '../limits.ts';

export class Pace {
  /** Fixed rate; null if only users' I/O limits the copies. */
  bytesPerSecond: number | null = null;
  private freeAtMs = Number.NEGATIVE_INFINITY;
  private usersUntilMs = Number.NEGATIVE_INFINITY;

  usersSeen(nowMs: number, outstanding: number): void {
    if (outstanding > 0) this.usersUntilMs = nowMs + USERS_RECENT_MS;
  }

  isBusy(nowMs: number): boolean {
    return nowMs < this.usersUntilMs;
  }

  piecesMax(nowMs: number): number {
    return this.isBusy(nowMs) ? PIECES_BUSY_MAX : PIECES_MAX;
  }

  pieceBytes(nowMs: number): number {
    const most = this.isBusy(nowMs) ? PIECE_BUSY_BYTES : PIECE_MAX_BYTES;
    if (this.bytesPerSecond === null) return most;
    const flowing = (this.bytesPerSecond * RATE_PIECE_MS) / 1_000;
    return Math.min(most, Math.max(PIECE_SMALL_BYTES, Math.floor(flowing / PIECE_SMALL_BYTES) * PIECE_SMALL_BYTES));
  }

  /** Time in ms until the next piece may begin. */
  waitMs(nowMs: number): number {
    return this.bytesPerSecond === null ? 0 : Math.max(0, this.freeAtMs - nowMs);
  }

  took(nowMs: number, bytes: number): void {
    if (this.bytesPerSecond === null) return;
    this.freeAtMs = Math.max(nowMs - RATE_BURST_MS, this.freeAtMs) + (bytes * 1_000) / this.bytesPerSecond;
  }
}
