// What the copier needs of the data path, and what it tells its owner. mirror-copy-io.ts implements CopyIo over the sessions of the replicas.
// Positions and lengths are in bytes and multiples of a sector. Each `done` is called once, and never before the call has returned.

import type { MirrorMapAnswer } from '../../wire/mirror/messages.ts';
import type { Lacks } from '../lacks/lacks.ts';
import type { RegionSet } from '../regions/region-set.ts';
import type { Piece } from './plans/region-pieces.ts';

/** A status is that of the answer, or OUTCOME_UNKNOWN if there is no answer because the session was given up or its I/O abandoned. */
export type Done = (status: number) => void;

export interface CopyLock {
  /** Ends the lock, or withdraws it if it was not granted yet. May be called more than once. */
  release(): void;
}

export interface CopyIo {
  readonly touched: RegionSet;
  readonly unsettled: RegionSet;
  /** What replicas that are not in sync may lack. */
  readonly lacks: Lacks;
  /** Users' requests without an answer. */
  readonly outstanding: number;
  /** The region is equal in all of I: READs may go on. */
  settled(region: number): void;
  /** Regions were removed from `unsettled`: READs may go on. */
  settledMany(): void;
  /** Keeps changes of a range back, in turn with them. `granted` may be called before this method returns. READs may go on. */
  lock(beginBytes: number, endBytes: number, granted: () => void): CopyLock;
  /** Null unless the replica can execute a request now. See tenants.ts. */
  tenureOf(identity: string): string | null;
  /** Incarnation of the replica's storage in its present session. */
  lifeOf(identity: string): string | null;
  /** Requests that the replica has without an answer. */
  loadOf(identity: string): number;
  readAt(identity: string, positionBytes: number, lengthBytes: number, buffer: Buffer, bufferOffset: number, done: Done): void;
  writeAt(identity: string, positionBytes: number, lengthBytes: number, buffer: Buffer, bufferOffset: number, done: Done): void;
  zeroAt(identity: string, positionBytes: number, lengthBytes: number, done: Done): void;
  flushAt(identity: string, done: Done): void;
  /** `answer`: null if there is none, or if it is not understood. */
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
  }[];
}

/** An event may call `setView` and `changed`, which only record, and no other method of the copier. */
export interface CopierEvents {
  /** The replica has a copy of everything. Repeated after each view in which it may join. */
  caughtUp(identity: string): void;
  /** What `caughtUp` said is no longer true. A replica that has joined meanwhile must start again (M12). */
  fellBack(identity: string, why: string): void;
  /** The replica refused a request, so that its data differs from that of the others. */
  lost(identity: string, why: string): void;
  /** Nothing is unsettled any more. */
  allSettled(): void;
  /** Something cannot be copied, because no replica in sync can read it; or all of that was copied. */
  readableChanged(): void;
}

export interface ResyncProgress {
  readonly identity: string;
  readonly bytesLeft: number;
  readonly bytesCopied: number;
  readonly bytesPerSecond: number;
  /** Null while it cannot be estimated. */
  readonly etaMs: number | null;
}

/** Cuts pieces: the plan of settling, or that of a replica that returns. */
export interface Cutter {
  nextPiece(maxBytes: number): Piece | null;
  isVoid(piece: Piece): boolean;
  pieceEnded(piece: Piece, isCopied: boolean): void;
}

/** Where pieces are copied from and to. */
export interface SourceAndTargets {
  sources(piece: Piece): readonly string[];
  targets(source: string): readonly string[];
  /** Copying has failed: it is tried again at this time. */
  failed(untilMs: number): void;
}
