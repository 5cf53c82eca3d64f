// The replicas of a mirror as the data path sees them: which of them count, which serve reads, and which have a session. The owner of the
// configuration decides that (MirrorView); this file keeps it as masks, so that an answer costs a few operations on numbers. Invariant: a
// member has a bit while it is in the view or has a session that was not given up.

import { assert } from '@rsio/common/lib/assert';
import { REPLICA_BITS } from './limits.ts';
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
  /** True if its data differs from that of the others, or may differ. Its answers no longer count. */
  isLost = false;
  isInView = false;
  /** True if the replica has everything, and gets everything by its session. It is copied only if it returns after that. */
  isWhole = false;
  /** The last FLUSH that it had answered when it was found to be lost. */
  flushedMs: number | null = null;
  /** Incarnation of the storage in which the replica was last ready; null: it was not yet. All that it has answered is in it. */
  life: string | null = null;
  /** Number of requests that the replica has to answer. */
  load = 0;
  /** The member has executed a request that was submitted after the user request of this number: its handle was valid then. */
  confirmedSequence = 0;
  /** The newest READ that waits for the confirmation of this member. */
  wantedSequence = 0;
  isAsked = false;
  /** True if a READ has waited too long for its confirmation, until it confirms anything. Others execute READs meanwhile. */
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
  /** Members that count and are not just joining: they decide what the content of the mirror is. */
  inSyncMask = 0;
  /** Members that have a session, lost ones included. */
  presentMask = 0;
  /** Members whose answers count (M10). */
  recoveredMask = 0;
  private numbers = 0;

  /** Incarnations in which the replicas in sync have everything; null: it is not open yet. */
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
    this.update();
    return freed;
  }

  /** Computes the masks again. Called whenever a session or the state of one has changed. */
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

  /** The members that count and whose OK is missing. */
  missing(okMask: number): number {
    return this.countsMask & ~(okMask & this.recoveredMask);
  }

  /** A READ with this number has waited too long for the members that have not confirmed it. */
  silent(sequence: number): void {
    for (const member of this.all) if (member.confirms && member.confirmedSequence < sequence) member.isSilent = true;
  }

  /** The replica with the least load that may read and is not in `triedMask`, rather none that is silent; null if there is none now. */
  reader(triedMask: number): Member | null {
    let best: Member | null = null;
    for (let index = 0; index < this.all.length; index++) {
      const member = this.all[index]!;
      if (!member.reads || (triedMask & member.bit) !== 0 || !member.isReady) continue;
      if (best === null || (member.isSilent === best.isSilent ? member.load < best.load : best.isSilent)) best = member;
    }
    return best;
  }

  /** True if a replica that may read is not in `triedMask`, ready or not. */
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
