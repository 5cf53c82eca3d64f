// Judges the holds of one volume: whether each grant is right, and whether an operation runs under a hold after another client was granted
// the volume. The judge sees the grants from outside: a grant counts from the time at which the server has answered or has made its record
// durable, whichever comes first. The oracle judges the content. Invariant: the judge observes and changes nothing.

import type { HoldWatch } from '../storage/sim-storage.ts';

/** How a hold was granted: `no` if the volume was free or already held by this client. */
export type HowTaken = 'no' | 'over' | 'force';

export interface Decided {
  readonly epoch: number;
  readonly node: string;
  readonly client: number;
  readonly how: HowTaken;
  /**
   * The earlier incarnation in which the client last sent its whole log. Reports of breaches name this incarnation. Null: the client had
   * nothing to send again.
   */
  readonly unsettledSince: string | null;
}

interface Grant extends Decided {
  readonly atMs: number;
  released: boolean;
  /** Time at which an order ended the hold; null: no order has ended it. */
  takenMs: number | null;
  /** Whether an order that took the volume away from the node was answered after this grant. */
  isRevoked: boolean;
  /** The last incarnation of the storage in which the holder has sent its whole log; null: it has not done so in any incarnation. */
  settledIn: string | null;
}

const BREACHES_MAX = 20;

export class HoldJudge implements HoldWatch {
  readonly breaches: string[] = [];
  /** Grants that took a volume from a holder that had not released it. */
  takeOvers = 0;
  /** Client processes whose hold was granted to another process of the same node. */
  readonly replaced = new Set<number>();
  private readonly name: string;
  private readonly nowMs: () => number;
  private readonly grants: Grant[] = [];

  constructor(name: string, nowMs: () => number) {
    this.name = name;
    this.nowMs = nowMs;
  }

  /** The current hold; null: no hold was granted yet. */
  get last(): Readonly<Grant> | null {
    return this.grants.at(-1) ?? null;
  }

  /**
   * Notes a grant. A grant counts once, although the judge is told of its answer and of its record. Returns true if another client has lost
   * the volume because of this grant.
   */
  decided(decided: Decided): boolean {
    const last = this.grants.at(-1);
    if (last?.epoch === decided.epoch && last.client === decided.client) return false;
    if (last !== undefined) this.judgeChange(last, decided);
    this.grants.push({ ...decided, atMs: this.nowMs(), released: false, takenMs: null, isRevoked: false, settledIn: null });
    return last !== undefined && !last.released && last.client !== decided.client;
  }

  /** A client has been granted the volume. */
  answered(client: number): void {
    const last = this.grants.at(-1);
    if (last?.client !== client) return;
    // If the server crashes before the end of a hold is durable, the hold is there again.
    [last.released, last.takenMs] = [false, null];
  }

  /** A client has sent its whole log in this incarnation of the storage. */
  settled(client: number, incarnation: string): void {
    const last = this.grants.at(-1);
    if (last?.client === client) last.settledIn = incarnation;
  }

  released(client: number): void {
    const last = this.grants.at(-1);
    if (last?.client === client) last.released = true;
  }

  /** An order ends the hold of a node. From now on, the client may be told that it has lost the volume. */
  taken(node: string): void {
    const last = this.grants.at(-1);
    if (last?.node === node && !last.released) [last.released, last.takenMs] = [true, this.nowMs()];
  }

  /**
   * H6: an order that takes the volume away from a node was answered with OK. From now on, no operation may run under the grants that the
   * node got so far.
   */
  revoked(node: string, isHeld: boolean): void {
    if (isHeld) this.breach(`H6: the volume is taken away from ${node}, which still holds it`);
    for (const grant of this.grants) if (grant.node === node) grant.isRevoked = true;
  }

  /** A listener starts, and has read the holders. A hold that an answered order has ended must not be there again. */
  starts(nodes: readonly string[]): void {
    for (const node of nodes)
      if (this.grants.findLast((one) => one.node === node)?.isRevoked === true)
        this.breach(`H6: a start finds the hold of ${node}, from which the volume was taken away`);
  }

  /**
   * The incarnation in which the holder last sent its whole log. Null: the holder has sent its log in the given incarnation, and has
   * nothing to send again.
   */
  unsettledSince(incarnation: string): string | null {
    const last = this.grants.at(-1);
    return last === undefined || last.released || last.settledIn === incarnation ? null : last.settledIn;
  }

  /** Judges H2: no request starts or takes effect under a hold after another client was granted the volume. */
  acts(epoch: number): void {
    const own = this.grants.find((one) => one.epoch === epoch);
    if (own?.isRevoked === true)
      this.breach(`H6: something is done under epoch ${epoch} of ${own.node}, from which the volume was taken away`);
    const next = this.nextAfter(epoch);
    if (next !== null) this.breach(`H2: something is done under epoch ${epoch} after ${next.node} was given epoch ${next.epoch}`);
  }

  /**
   * Time in ms at which an order ended the hold of this epoch, or at which a later grant gave the volume to another client. Null: neither
   * has happened.
   */
  lostMs(epoch: number): number | null {
    return this.grants.find((one) => one.epoch === epoch)?.takenMs ?? this.nextAfter(epoch)?.atMs ?? null;
  }

  breach(sentence: string): void {
    if (this.breaches.length < BREACHES_MAX) this.breaches.push(`${this.name} at ${this.nowMs().toFixed(1)} ms: ${sentence}`);
  }

  private nextAfter(epoch: number): Grant | null {
    const last = this.grants.at(-1);
    if (last === undefined || last.epoch <= epoch) return null;
    const own = this.grants.find((one) => one.epoch === epoch);
    return this.grants.find((one) => one.epoch > epoch && one.client !== own?.client) ?? null;
  }

  private judgeChange(last: Grant, { epoch, node, client, how, unsettledSince }: Decided): void {
    if (epoch <= last.epoch) this.breach(`H2: ${node} is given epoch ${epoch} after ${last.node} was given ${last.epoch}`);
    if (last.released) return;
    if (last.node === node) {
      if (last.client !== client) this.replaced.add(last.client);
      return;
    }
    this.takeOvers++;
    if (how === 'no') this.breach(`H1: ${node} is given epoch ${epoch} while ${last.node} holds ${last.epoch}`);
    if (how === 'over' && unsettledSince !== null && unsettledSince === last.settledIn)
      this.breach(`H3: ${node} is given epoch ${epoch} before ${last.node} has brought back what the storage may have lost`);
  }
}
