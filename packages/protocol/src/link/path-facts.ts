// What a path reports about itself, for the control socket and screens. Types only.

import type { Direction } from '@rsio/common/lib/path-states';

export interface Directions {
  readonly tx: Direction;
  readonly rx: Direction;
}

/** Sums over all connections of a path since the daemon's start. */
export interface PathTotals {
  readonly requests: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly unansweredBytes: number;
  /** Requests sent here after another path fell silent or died. */
  readonly resent: number;
  /** READs asked for here because they were late on another path, and copies sent here to see how fast it is. */
  readonly hedged: number;
  readonly probed: number;
  /** Answers that came here when the result was there already. */
  readonly dropped: number;
  readonly deaths: number;
  readonly roundTripMs: number | null;
  /** Estimates by which requests are spread; null: nothing was measured. */
  readonly receivingBytesPerSecond: number | null;
  readonly sendingBytesPerSecond: number | null;
}
