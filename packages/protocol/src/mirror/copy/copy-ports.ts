// The copier's port to the data path (CopyIo), and the events that the copier reports to its owner. mirror-copy-io.ts implements CopyIo
// over sessions. Positions and lengths are in bytes and multiples of a sector. Each `done` is called once, after its method has returned.

import type { MirrorMapAnswer, Term } from '../../wire/mirror-messages.ts';
import type { Lacks } from '../lacks/lacks.ts';
import type { RegionSet } from '../region-set.ts';
import type { Piece } from './region-pieces.ts';

/** `status`: the status in the server's answer, or OUTCOME_UNKNOWN if the session was given up or its requests were abandoned. */
export type Done = (status: number) => void;

export interface CopyLock {
  /** Ends the lock. If the lock was not granted yet, withdraws the request for the lock. May be called more than once. */
  release(): void;
}

export interface CopyIo {
  readonly touched: RegionSet;
  readonly unsettled: RegionSet;
  /** The blocks that each replica out of sync may lack. */
  readonly lacks: Lacks;
  /** Number of users' requests that are not answered yet. */
  readonly outstanding: number;
  /** Called when the region is equal on all replicas in sync. READs of the region may then continue. */
  settled(region: number): void;
  /** Called when regions were removed from `unsettled`. READs of these regions may then continue. */
  settledMany(): void;
  /**
   * Excludes users' changes, but not READs, from a range. Locks and changes get a range in order of arrival. `granted` may be called before
   * this method returns.
   */
  lock(beginBytes: number, endBytes: number, granted: () => void): CopyLock;
  /** Returns the replica's tenure (tenants.ts); null if the replica cannot execute a request now. */
  tenureOf(identity: string): string | null;
  /** Incarnation of the replica's storage in the current session. */
  lifeOf(identity: string): string | null;
  /** Number of requests that the replica has not answered yet. */
  loadOf(identity: string): number;
  readAt(identity: string, positionBytes: number, lengthBytes: number, buffer: Buffer, bufferOffset: number, done: Done): void;
  writeAt(identity: string, positionBytes: number, lengthBytes: number, buffer: Buffer, bufferOffset: number, done: Done): void;
  zeroAt(identity: string, positionBytes: number, lengthBytes: number, done: Done): void;
  flushAt(identity: string, done: Done): void;
  /** `answer`: null if the server does not answer, or answers with a status other than OK or with a malformed body. */
  readMap(identity: string, first: number, done: (answer: MirrorMapAnswer | null) => void): void;
  clearMap(identity: string, ranges: readonly number[], done: Done): void;
}

/** The part of MirrorView that the copier needs. */
export interface CopyView {
  readonly isServing: boolean;
  readonly isPending: boolean;
  readonly isAllInSync: boolean;
  readonly sizeBytes: number;
  readonly replicas: readonly {
    readonly identity: string;
    readonly role: 'member' | 'leaving' | 'returning' | 'joining';
    readonly counts: boolean;
    readonly reads: boolean;
    readonly mayJoin: boolean;
    readonly foundBytes: number;
    readonly lacksTerm: Term | null | undefined;
  }[];
}

/** A handler of these events may call only the methods `setView` and `changed` of the copier, because these two only record. */
export interface CopierEvents {
  /** Called when the replica has a copy of all data. Called again after each view in which the replica may join. */
  caughtUp(identity: string): void;
  /**
   * Called when the replica no longer has all data, although `caughtUp` was reported. If the replica has joined since then, it must be
   * copied again (M12).
   */
  fellBack(identity: string, why: string): void;
  /** Called when the replica has refused a request. The data of the replica therefore differs from the data of the other replicas. */
  lost(identity: string, why: string): void;
  allSettled(): void;
  /** Called when a range cannot be copied because no replica in sync can read it, and again when the last unreadable range was copied. */
  readableChanged(): void;
}

export interface ResyncProgress {
  readonly identity: string;
  readonly bytesLeft: number;
  readonly bytesCopied: number;
  readonly bytesPerSecond: number;
  /** Estimated remaining time in ms; null while no estimate is possible. */
  readonly etaMs: number | null;
}

/** Cuts pieces. Implemented by the plan of settling and by the plan of a replica that returns. */
export interface Cutter {
  nextPiece(maxBytes: number): Piece | null;
  isVoid(piece: Piece): boolean;
  pieceEnded(piece: Piece, isCopied: boolean): void;
}

/** The replicas from which and to which pieces are copied. */
export interface SourceAndTargets {
  sources(piece: Piece): readonly string[];
  targets(source: string): readonly string[];
  /** Called when a copy has failed. The copier tries again at the time `untilMs`. */
  failed(untilMs: number): void;
}
