// The replicas of a mirror for the data path: which of them count, serve reads, and have a session. The code in membership/ makes these
// decisions (MirrorView). This file keeps the decisions as bit masks, so that handling an answer costs a few integer operations. Invariant:
// a member keeps its bit while it is in the view or has a session that was not given up.

import { assert } from '@rsio/base/lib/assert';
import { REPLICA_BITS } from '../limits.ts';
import type { Replica } from './replica.ts';

export interface IoReplicaView {
  readonly identity: string;
  /** True if the answer of the replica is needed for every acknowledgement (M8). */
  readonly counts: boolean;
  /** True if the replica may execute READs. */
  readonly reads: boolean;
  /** True if the replica must confirm the term for READs (M15). */
  readonly confirms: boolean;
}

/** The part of a MirrorView that the data path needs. */
export interface IoView {
  readonly term: number;
  readonly replicas: readonly IoReplicaView[];
  readonly isServing: boolean;
  readonly sizeBytes: number;
  readonly waitsFor: string | null;
}

export class Member {
  readonly identity: string;
  readonly number: number;
  readonly bit: number;
  replica: Replica | null = null;
  counts = false;
  reads = false;
  confirms = false;
  /**
   * True if the data of the replica differs, or may differ, from the data of the other replicas; if so, the replica's answers no longer
   * count.
   */
  isLost = false;
  isInView = false;
  /** True if the replica has all data and gets each change through its session; if false, the replica is copied when it returns. */
  isWhole = false;
  /** Time of the last FLUSH that the replica had answered when it became lost; null if there was none. */
  flushedMs: number | null = null;
  /**
   * Incarnation in which the replica was ready for the last time. In this incarnation, the replica executed all requests that it has
   * answered. Null if the replica was never ready.
   */
  life: string | null = null;
  /** Number of requests that the replica has not answered yet. */
  load = 0;
  /**
   * Number of the newest READ for which the member has confirmed the term. By executing a request that was submitted after this READ, the
   * member has confirmed all READs up to this number.
   */
  confirmedSequence = 0;
  /** Number of the newest READ that waits for the confirmation of this member. */
  wantedSequence = 0;
  isAsked = false;
  /** True if a READ has waited too long for this member, and the member has confirmed nothing since; if so, READs prefer other members. */
  isSilent = false;

  constructor(identity: string, number: number) {
    this.identity = identity;
    this.number = number;
    this.bit = 1 << number;
  }

  confirm(startSequence: number): void {
    this.isSilent = false;
    if (startSequence > this.confirmedSequence) this.confirmedSequence = startSequence;
  }

  get isReady(): boolean {
    return this.replica?.isReady === true && !this.isLost;
  }
}

export class Members {
  all: readonly Member[] = [];
  countsMask = 0;
  /** Members that count and have finished joining; the content of these members is the content of the mirror. */
  inSyncMask = 0;
  /** Members with a session, including lost members. */
  presentMask = 0;
  /** Members whose answers count (M10). */
  recoveredMask = 0;
  private numbers = 0;

  /** Incarnations in which the replicas in sync have recovered all writes; null for a replica that is not open. */
  livesInSync(): (readonly [identity: string, life: string | null])[] {
    const inSync = this.all.filter(({ bit }) => (bit & this.inSyncMask) !== 0);
    return inSync.map(({ identity, replica }) => [identity, replica?.attachment.recoveredLife ?? null]);
  }

  find(identity: string): Member | null {
    return this.all.find((member) => member.identity === identity) ?? null;
  }

  add(replica: Replica): Member {
    const member = this.find(replica.identity) ?? this.make(replica.identity);
    assert(member.replica === null || member.replica.isGivenUp, `Replica ${replica.identity} has a session`);
    member.replica = replica;
    member.isLost = false;
    member.isAsked = false;
    member.isSilent = false;
    member.confirmedSequence = 0;
    member.life = null;
    member.isWhole = false;
    this.update();
    return member;
  }

  /** Applies a view, and returns the mask of the bits that are free afterwards. */
  setView(view: IoView): number {
    for (const member of this.all) {
      member.counts = false;
      member.reads = false;
      member.confirms = false;
      member.isInView = false;
    }
    for (const { identity, counts, reads, confirms } of view.replicas) {
      const member = this.find(identity) ?? this.make(identity);
      member.counts = counts;
      member.reads = reads;
      member.confirms = confirms;
      member.isInView = true;
    }
    let freed = 0;
    for (const member of this.all) if (!isKept(member)) freed |= member.bit;
    this.all = this.all.filter(isKept);
    this.numbers &= ~freed;
    assert(this.all.reduce((bits, { bit }) => bits + bit, 0) === this.numbers, 'Two replicas have one bit, or a bit belongs to none');
    this.update();
    return freed;
  }

  /** Computes the masks again. Called whenever the set of sessions, or the state of a session, has changed. */
  update(): void {
    this.countsMask = 0;
    this.inSyncMask = 0;
    this.presentMask = 0;
    this.recoveredMask = 0;
    for (const member of this.all) {
      const { replica, bit } = member;
      if (member.counts) this.countsMask |= bit;
      if (member.counts && member.confirms) this.inSyncMask |= bit;
      if (replica === null || replica.isGivenUp) continue;
      if (member.counts && member.reads) member.isWhole = true;
      if (replica.isReady) member.life = replica.attachment.volume?.life ?? null;
      this.presentMask |= bit;
      if (replica.hasRecovered && !member.isLost) this.recoveredMask |= bit;
    }
  }

  /** Returns the mask of the members that count and are not in `okMask`. `okMask`: the members that have answered OK. */
  missing(okMask: number): number {
    return this.countsMask & ~(okMask & this.recoveredMask);
  }

  /** Called when the READ with this number has waited too long: marks the members that have not confirmed this READ as silent. */
  silent(sequence: number): void {
    for (const member of this.all) if (member.confirms && member.confirmedSequence < sequence) member.isSilent = true;
  }

  /**
   * Returns the least loaded ready replica that may read and is not in `triedMask`. Prefers replicas that are not silent; returns null if
   * no replica fits.
   */
  reader(triedMask: number): Member | null {
    let best: Member | null = null;
    for (let index = 0; index < this.all.length; index++) {
      const member = this.all[index]!;
      if (!member.reads || (triedMask & member.bit) !== 0 || !member.isReady) continue;
      if (best === null || (member.isSilent === best.isSilent ? member.load < best.load : best.isSilent)) best = member;
    }
    return best;
  }

  /** True if a replica that is not in `triedMask` may read, even if the replica is not ready now. */
  hasReader(triedMask: number): boolean {
    return this.all.some((member) => member.reads && !member.isLost && (triedMask & member.bit) === 0);
  }

  private make(identity: string): Member {
    let number = 0;
    while ((this.numbers & (1 << number)) !== 0) number++;
    assert(number < REPLICA_BITS, 'A mirror has too many replicas');
    this.numbers |= 1 << number;
    const member = new Member(identity, number);
    this.all = [...this.all, member];
    return member;
  }
}

function isKept(member: Member): boolean {
  return member.isInView || (member.replica !== null && !member.replica.isGivenUp);
}
