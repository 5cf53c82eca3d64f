// Executes VOTEs at a server that may have a replica of the mirror. The voter's record decides first (voters.ts). After this decision,
// CLAIM ends the holds of lower terms on the replica, PLACE makes the replica, and UNPLACE removes the replica. Invariants: an answer to
// CLAIM names the replica only when no request of a lower term is running or can ever run on the replica. Storage that does not answer
// delays neither the record nor another mirror. Rules: Q7, Q8, Q10, M2, M4.

import { assert } from '@rsio/base/lib/assert';
import { within } from '@rsio/base/lib/waiting';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { type Term, type VoteAnswer, VOTED, type Voted, type VoteReplica } from '@rsio/protocol/wire/mirror-messages';
import { compareTerms } from '@rsio/base/structures/term-order';
import { isFor, type ServedReplica, type ServedVolume } from '../storage/io/served-volume.ts';
import type { Hold } from '../volumes/holds/hold-rules.ts';
import type { Fences } from '../volumes/fences.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import type { Volumes } from '../volumes/volumes.ts';
import type { VoteReply, VoteRequest } from './session-votes.ts';
import type { Voters, VotingClient } from './voters.ts';
import { REPLICA_WAIT_MS } from './limits.ts';
import { replicaFor, replicasOf } from './own-replicas.ts';
import { ReplicaFence, type ReplicaFencePorts } from './replica-fence.ts';

/** Makes and removes the mark and the intent map of replicas. When one of these methods resolves, the change is durable and in force. */
export interface ReplicaStore {
  /** Makes the volume a replica with a new identity, and a map in which all regions are set. */
  place(volumeId: string, mirror: string): Promise<{ readonly identity: string }>;
  unplace(volumeId: string): Promise<void>;
}

export interface MirrorVotesPorts extends Omit<ReplicaFencePorts, 'promiseOf' | 'holds' | 'log'> {
  readonly clock: Pick<Clock, 'after'>;
  readonly log: Pick<Log, 'info' | 'error'>;
  readonly voters: Pick<Voters, 'answer' | 'recordOf'>;
  readonly holds: Pick<Holds, 'endHolds' | 'epochOf' | 'holdersOf' | 'lackedTerm'>;
  readonly store: ReplicaStore;
  readonly volumes: Pick<Volumes, 'served'>;
  /**
   * A VOTE counts as an order. A fence is answered only when no order of the fenced client is being executed, so no VOTE of the client runs
   * after the fence was answered.
   */
  readonly fences: Pick<Fences, 'order'>;
  /** Returns why the client may not make the volume a replica; null if the client may. */
  whyNoPlace(node: string, volume: ServedVolume): string | null;
  incarnationOf(volume: ServedVolume): string;
}

/** A volume that PLACE has made a replica. Until the volume is opened, a repeated PLACE gets the same identity. */
interface Placed {
  readonly term: Term;
  readonly identity: string;
  readonly epoch: number;
}

type PlaceRequest = Extract<VoteRequest, { vote: 'place' }>;

export class MirrorVotes {
  private readonly ports: MirrorVotesPorts;
  private readonly fence: ReplicaFence;
  /** The placed replicas, keyed by volume id. */
  private readonly placed = new Map<string, Placed>();

  constructor(ports: MirrorVotesPorts) {
    this.ports = ports;
    this.fence = new ReplicaFence({ ...ports, promiseOf: (mirror) => ports.voters.recordOf(mirror) });
  }

  /** Answers a VOTE. `isWanted` returns false if the session of the client is ending, or the client is fenced. */
  async answer(client: VotingClient, request: VoteRequest, isWanted: () => boolean): Promise<VoteReply> {
    const reply = await this.ports.fences.order(client.node, () => this.ports.voters.answer(client, request, isWanted));
    if ('voteStatus' in reply || reply.voted !== VOTED.DONE) return reply;
    switch (request.vote) {
      case 'record':
        return { ...reply, ...this.told(request.mirror, client.node) };
      case 'claim':
        return this.claimed(termOf(client, request), request.mirror, reply);
      case 'place':
        return this.place(client, request, reply, isWanted);
      case 'unplace':
        return this.unplace(termOf(client, request), request.mirror, reply);
      default:
        return reply;
    }
  }

  private async claimed(term: Term, mirror: string, reply: VoteAnswer): Promise<VoteAnswer> {
    const replica = replicaFor(this.ports.volumes.served, mirror, term.node);
    if (replica === null || typeof replica === 'string') return { ...reply, sentence: replica ?? '' };
    try {
      if (!(await this.within(this.fence.end(replica))))
        return {
          ...reply,
          sentence: `Volume ${replica.name} still executes requests of an earlier term: check its storage, and claim again`,
        };
    } catch (thrown) {
      return { ...reply, sentence: toRsError(thrown).message };
    }
    return this.superseded(term, mirror, reply) ?? { ...reply, ...this.claimedReplica(term, mirror, replica.id) };
  }

  private async place(client: VotingClient, request: PlaceRequest, reply: VoteAnswer, isWanted: () => boolean): Promise<VoteAnswer> {
    const { mirror } = request;
    const term = termOf(client, request);
    const found = this.toPlace(client.node, request);
    if ('voted' in found) return { ...reply, ...found };
    const losers = (holds: readonly Hold[]): readonly Hold[] => {
      if (!isWanted()) throw new RsError('E_SHUTTING_DOWN', 'The session ended before the volume was made a replica');
      // The promise is checked in the turn of the volume, so that no OPEN or PLACE can happen between the check and the end of the holds.
      this.checkPromise(term, mirror);
      const now = this.toPlace(client.node, request);
      if ('voted' in now) throw new RsError('E_HELD', now.sentence);
      if (now.id !== found.id) throw new RsError('E_HELD', `Volume ${now.name} has just been replaced by another one: try again`);
      const [other] = holds;
      if (now.replica !== undefined) return this.isPlaced(now, term) ? [] : holds;
      if (other === undefined) return [];
      throw new RsError('E_HELD', `Client ${other.node} has volume ${now.name} attached: detach it there first`);
    };
    const work = this.ports.fences.order(client.node, () => this.fence.endNow(found, losers, () => this.placeNow(found.id, term, mirror)));
    return this.concluded(term, mirror, reply, work, `Volume ${found.name} is not a replica yet: its storage does not answer; try again`);
  }

  /** Must be called in the turn of the volume. */
  private async placeNow(volumeId: string, term: Term, mirror: string): Promise<void> {
    const { ports } = this;
    const before = ports.volumes.served.find(({ id }) => id === volumeId);
    if (before !== undefined && this.isPlaced(before, term)) return;
    const { identity } = await ports.store.place(volumeId, mirror);
    assert(identity !== before?.replica?.identity, 'A replica that is placed keeps its identity');
    for (const id of this.placed.keys()) if (!ports.volumes.served.some((one) => one.id === id)) this.placed.delete(id);
    this.placed.set(volumeId, { term, identity, epoch: ports.holds.epochOf(volumeId) });
    if (before !== undefined) ports.listChanged([before]);
  }

  /** Returns true if the volume was made a replica under this term, and has not been opened since then. */
  private isPlaced({ id, replica }: Pick<ServedVolume, 'id' | 'replica'>, term: Term): boolean {
    const placed = this.placed.get(id);
    if (placed === undefined || placed.identity !== replica?.identity || placed.epoch !== this.ports.holds.epochOf(id)) return false;
    return compareTerms(placed.term, term) === 0;
  }

  private toPlace(node: string, { mirror, volume: name, universe }: PlaceRequest): ServedVolume | Refused {
    const served = this.ports.volumes.served;
    const volume = served.find((one) => one.name === name && one.universe === universe && isFor(one, node));
    if (volume === undefined) return refused(`This server has no volume ${name} for client ${node}`);
    const other = replicasOf(served, mirror).find(({ id }) => id !== volume.id);
    if (other !== undefined) return refused(`Volume ${other.name} of this server is a replica of this mirror already`, VOTED.DIFFERENT);
    if (volume.replica !== undefined && volume.replica.mirror !== mirror)
      return refused(`Volume ${name} is a replica of another mirror, ${volume.replica.mirror}`, VOTED.DIFFERENT);
    if (volume.pool === undefined)
      return refused(
        `Volume ${name} is in no pool, so that it cannot be a replica: on the server, rsadm volume import makes a volume of a pool of its file`,
      );
    if (volume.shared || volume.readonly)
      return refused(`Volume ${name} is ${volume.shared ? 'shared' : 'read-only'}, so that it cannot be a replica`);
    // The client needs the right only for a volume without a mark, because a new mark affects all clients of the volume. A volume that
    // already has the mark of this mirror may be placed again without the right.
    const bar = volume.replica === undefined ? this.ports.whyNoPlace(node, volume) : null;
    return bar === null ? volume : refused(bar);
  }

  private async unplace(term: Term, mirror: string, reply: VoteAnswer): Promise<VoteAnswer> {
    const replica = replicaFor(this.ports.volumes.served, mirror, term.node);
    if (replica === null) return reply;
    if (typeof replica === 'string') return { ...reply, ...refused(replica) };
    const { ports } = this;
    const losers = (holds: readonly Hold[]): readonly Hold[] => {
      this.checkPromise(term, mirror);
      return holds;
    };
    const remove = async (): Promise<void> => {
      await ports.store.unplace(replica.id);
      this.placed.delete(replica.id);
      ports.listChanged([replica]);
    };
    const work = ports.fences.order(term.node, () => this.fence.endNow(replica, losers, remove));
    return this.concluded(term, mirror, reply, work, `Volume ${replica.name} is still a replica: its storage does not answer; try again`);
  }

  private async concluded(term: Term, mirror: string, reply: VoteAnswer, work: Promise<void>, late: string): Promise<VoteAnswer> {
    try {
      if (!(await this.within(work))) return { ...reply, ...refused(late) };
    } catch (thrown) {
      return this.superseded(term, mirror, reply) ?? { ...reply, ...refused(toRsError(thrown).message) };
    }
    return { ...reply, ...this.told(mirror, term.node) };
  }

  private checkPromise(term: Term, mirror: string): void {
    const promise = this.ports.voters.recordOf(mirror)?.promise ?? null;
    if (promise === null || compareTerms(promise, term) !== 0) throw new RsError('E_HELD', 'The term is not the promised one any more');
  }

  /** If the record no longer exists, or the promised term is not `term`, returns an answer that says so; otherwise returns null. */
  private superseded(term: Term, mirror: string, reply: VoteAnswer): VoteAnswer | null {
    const promise = this.ports.voters.recordOf(mirror)?.promise ?? null;
    if (promise !== null && compareTerms(promise, term) === 0) return null;
    const sentence =
      promise === null ? 'The record was removed meanwhile' : `Client ${promise.node} has claimed the higher term ${promise.number}`;
    return { ...reply, voted: promise === null ? VOTED.UNKNOWN : VOTED.SUPERSEDED, sentence, promise };
  }

  /**
   * Returns the replica that the answer names, or null with a reason. If `id` is not null, the answer may name only the volume with
   * this id.
   */
  private told(
    mirror: string,
    node: string,
    id: string | null = null,
  ): { readonly replica: VoteReplica | null; readonly sentence: string } {
    const found = replicaFor(this.ports.volumes.served, mirror, node);
    if (found === null || typeof found === 'string') return { replica: null, sentence: found ?? '' };
    if (id !== null && found.id !== id) return { replica: null, sentence: `Volume ${found.name} has just become the replica: claim again` };
    const { name: volume, universe, sizeBytes } = found;
    const { identity }: ServedReplica = found.replica;
    return { replica: { identity, incarnation: this.ports.incarnationOf(found), volume, universe, sizeBytes }, sentence: '' };
  }

  /** Returns the replica of the answer to a claim, with the highest term of which it may lack writes (Q10). */
  private claimedReplica(term: Term, mirror: string, id: string): ReturnType<MirrorVotes['told']> {
    const told = this.told(mirror, term.node, id);
    if (told.replica === null) return told;
    const { identity, incarnation } = told.replica;
    return { ...told, replica: { ...told.replica, lacksTerm: this.ports.holds.lackedTerm(id, identity, incarnation, term) } };
  }

  /** Waits for the work. Returns false if the work has not ended after REPLICA_WAIT_MS; the work then continues. */
  private async within(work: Promise<unknown>): Promise<boolean> {
    return within(
      this.ports.clock,
      REPLICA_WAIT_MS,
      work.then(
        () => true,
        (thrown: unknown) => {
          throw toRsError(thrown);
        },
      ),
      () => false,
    );
  }
}

interface Refused {
  readonly voted: Voted;
  readonly sentence: string;
}

function refused(sentence: string, voted: Voted = VOTED.REFUSED): Refused {
  return { voted, sentence };
}

function termOf({ node, instance }: VotingClient, { number }: { readonly number: number }): Term {
  return { number, node, instance };
}
