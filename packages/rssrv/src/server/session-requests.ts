// Answers the requests of sessions to the listener: the list, OPENs, the ends of holds, ADMIN, files, and clones of chunks. Other modules
// decide each answer. Invariant: before a session is granted a volume, the session gets the limits of the volume. If a snapshot of the
// volume is being made, the session is also ordered to hold changes before it gets the grant.

import { GIFTS, type Gift, giftTo, roleIn } from '@rsio/common/config/client-rights';
import type { ClientRole } from '@rsio/common/config/schema/types';
import { sleep } from '@rsio/base/lib/waiting';
import type { Clock } from '@rsio/base/lib/clock';
import { isSnapshot } from '@rsio/base/lib/volume-name';
import type { Log } from '@rsio/base/log/log';
import type { OpenRequest } from '@rsio/protocol/wire/messages';
import { STATUS, statusEntry } from '@rsio/protocol/wire/status';
import type { Administration } from '../admin/administration.ts';
import type { Bandwidth } from '../volumes/throttle/bandwidth.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import type { Bridges } from '../jobs/images/bridges.ts';
import type { Fences } from '../volumes/fences.ts';
import type { GateRecords } from '../volumes/holds/gate-records.ts';
import { meantVolume } from '../volumes/holds/hold-rules.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import { type OpeningSession, Opens } from '../volumes/holds/opens.ts';
import type { Revocations } from '../volumes/holds/revocations.ts';
import type { Moments } from '../snapshots/moments.ts';
import { forceRole, whyNoPlace } from '../pools/asker.ts';
import type { Pools } from '../pools/pools.ts';
import type { Grant } from '../volumes/holds/grants.ts';
import type { SnapshotAnswers } from '../snapshots/reads/snapshot-answers.ts';
import type { ServedSnapshots } from '../snapshots/reads/served-snapshots.ts';
import { MirrorVotes } from '../mirrors/mirror-votes.ts';
import type { VoteReply, VoteRequest } from '../mirrors/session-votes.ts';
import type { Voters } from '../mirrors/voters.ts';
import type { SpaceShortage } from '../volumes/space-shortage.ts';
import type { Volumes } from '../volumes/volumes.ts';
import type { ListenerAnswer, SessionRequest } from '../session/channel/channel.ts';
import type { WorkerRights } from './workers/worker-rights.ts';
import type { Admissions } from './admissions.ts';
import type { CurrentConfig } from './current-config.ts';
import { toInterface } from './listening-sockets.ts';
import { askingSession, type ServedSession } from './served-session.ts';
import type { SharedPools } from '../volumes/holds/shared-pools.ts';
import { nodesSeen } from './nodes-seen.ts';
import { listFor, notOffered, offeredTo, onlyViews } from './offered-volumes.ts';

/** Refusals that depend on who holds the volume. */
const REFUSALS: readonly number[] = [STATUS.HELD, STATUS.TAKEN];

/** The objects of the server that answer sessions. */
export interface SessionRequestParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly current: CurrentConfig;
  /** Name of the server. */
  readonly server: string;
  readonly pools: Pick<Pools, 'states'>;
  readonly holds: Holds;
  readonly volumes: Volumes;
  readonly shortage: Pick<SpaceShortage, 'has'>;
  readonly bandwidth: Pick<Bandwidth, 'granted' | 'heldBy'>;
  readonly rights: Pick<WorkerRights, 'files'>;
  readonly moments: Pick<Moments, 'clone' | 'granted'>;
  readonly snapshots: ServedSnapshots;
  readonly snapshotAnswers: Pick<SnapshotAnswers, 'answer'>;
  readonly voters: Voters;
  readonly fences: Pick<Fences, 'has' | 'order'>;
  readonly admissions: Pick<Admissions, 'revokeForTakeOver' | 'sessions' | 'silentMs' | 'usedBeside'>;
  readonly gateRecords: Pick<GateRecords, 'answer'>;
  readonly bridges: Pick<Bridges, 'answer'>;
  readonly revocations: Pick<Revocations, 'isBarred' | 'refusalOf'>;
  readonly shared: Pick<SharedPools, 'disputedMs' | 'isMine' | 'lookAgeMs'>;
  readonly administration: Pick<Administration, 'answer' | 'failures' | 'replicas' | 'tookOver'>;
  incarnationOf(volume: ServedVolume): string;
  incarnationEnded(volume: ServedVolume): Promise<void>;
  /**
   * Called when the entries of these volumes in the list have changed. Only clients that may attach one of the volumes are notified; if
   * `volumes` is null, all clients are notified.
   */
  listChanged(volumes: readonly ServedVolume[] | null): void;
}

export class SessionRequests {
  private readonly parts: SessionRequestParts;
  private readonly opens: Opens;
  private readonly votes: MirrorVotes;
  constructor(parts: SessionRequestParts) {
    this.parts = parts;
    this.opens = this.newOpens();
    this.votes = this.newVotes();
  }

  async answer(session: ServedSession, request: SessionRequest): Promise<ListenerAnswer> {
    const { holds, rights, shortage, moments, bandwidth } = this.parts;
    const refused = whyNot(request, roleIn(this.parts.current.config.rights, session.client.node));
    if (refused !== null) return refused;
    switch (request.what) {
      case 'files':
        return rights.files.answer(session, request.volumeId);
      case 'list':
        return listFor(session, this.parts.current.config.interfaces.map(toInterface), this.offered(session.client.node), ({ id }) => ({
          holders: holds.holdersOf(id),
          waitsForSpace: shortage.has(id),
          ...heldField(bandwidth.heldBy(session.id, id)),
        }));
      case 'grant':
        return this.grant(session, request.request);
      case 'release':
        session.uses.delete(request.volumeId);
        // The hold belongs to the client, so that the CLOSE of one data process does not end the hold that another data process uses.
        if (this.parts.admissions.usedBeside(session, request.volumeId) === null)
          await holds.release(request.volumeId, session.client, request.epoch);
        return null;
      case 'admin-call':
      case 'admin-rest':
        return this.parts.administration.answer(askingSession(session), request);
      case 'vote':
        return this.vote(session, request);
      case 'clone':
        return moments.clone(session.id, request);
      case 'older-snapshots':
      case 'changes':
        return this.parts.snapshotAnswers.answer(session.uses, request);
      case 'bridge':
      case 'bridged':
        return this.parts.bridges.answer(session, request);
      case 'record-read':
      case 'record-write':
        return this.parts.gateRecords.answer({ client: session.client, isThere: () => askingSession(session).isThere() }, request);
      case 'nodes-seen':
        return nodesSeen(this.parts, session.client.node, request);
      case 'look':
        return { isMine: await this.parts.shared.isMine(request.poolId, request.generation, request.hasFailed) };
      case 'look-age':
        return { lookAgeMs: this.parts.shared.lookAgeMs(request.poolId, request.generation) };
      case 'settle':
        return { isSettled: await holds.settle(request.volumeId, session.client, request.epoch, request.incarnation) };
    }
  }

  private vote({ client, dataProcess, workerSession }: ServedSession, request: VoteRequest): Promise<VoteReply> {
    return this.votes.answer({ ...client, dataProcess }, request, () => !workerSession.isEnding && !this.parts.fences.has(client.node));
  }

  private newVotes(): MirrorVotes {
    const { parts } = this;
    const { clock, log, voters, holds, fences, volumes } = parts;
    return new MirrorVotes({
      clock,
      log,
      voters,
      holds,
      store: parts.administration.replicas,
      volumes,
      fences,
      whyNoPlace: (node, { id, name }) => {
        const config = parts.current.config;
        const pool = config.volumes.find((one) => one.id === id)?.pool?.name;
        const [manifest] = parts.pools.states.flatMap(({ volumes: all }) => all.get(id) ?? []);
        const { owner = null, managers = [] } = manifest ?? {};
        return whyNoPlace(node, { name, owner, managers }, pool === undefined ? [] : [pool], config);
      },
      incarnationOf: (volume) => parts.incarnationOf(volume),
      incarnationEnded: (volume) => parts.incarnationEnded(volume),
      usersOf: (id) => parts.admissions.sessions.flatMap(({ client, uses }) => (uses.has(id) ? [client.node] : [])),
      revoke: (node, id, epoch, why) => parts.admissions.revokeForTakeOver(node, id, epoch, why),
      listChanged: (changed) => parts.listChanged(changed),
    });
  }

  private async grant(session: ServedSession, request: OpenRequest): Promise<Grant> {
    const { client, dataProcess, uses, workerSession } = session;
    const opening: OpeningSession = {
      client,
      dataProcess,
      uses,
      isEnding: () => workerSession.isEnding,
      ending: workerSession.ending,
      usedBeside: (volumeId) => {
        const other = this.parts.admissions.usedBeside(session, volumeId);
        return other === null ? null : { dataProcess: other.dataProcess, isEnding: other.workerSession.isEnding };
      },
    };
    const grant = await this.opens.grant(opening, request);
    if (!grant.granted && REFUSALS.includes(grant.status)) {
      // A server that has lost the pool does not know the holders of its volumes, and must not name them in a refusal. A grant needs no
      // check here, because the worker looks at the owner of the pool.
      const pool = meantVolume(this.parts.volumes.served, request)?.pool;
      const [poolId = ''] = pool?.ids ?? [];
      if (pool?.ownership !== undefined && !(await this.parts.shared.isMine(poolId, pool.ownership.generation, false)))
        return { granted: false, status: STATUS.MOVED, sentence: statusEntry(STATUS.MOVED).sentence, holders: [] };
    }
    if (grant.granted) {
      this.parts.moments.granted(session, grant.volume.id);
      this.parts.bandwidth.granted(session, grant.volume.id);
    }
    return grant;
  }

  /** Returns the volume or snapshot that an OPEN means, if the client may attach it. */
  private meant(node: string, request: OpenRequest): ServedVolume | null {
    const { snapshots } = this.parts;
    if (this.gift(node).opens === 'nothing') return null;
    return isSnapshot(request.name) ? snapshots.find(node, request) : meantVolume(this.offered(node), request);
  }

  /** Returns the volumes that the client may see; none for a client with the right `copy` (T8). */
  private offered(node: string): readonly ServedVolume[] {
    return offeredTo(node, this.parts.volumes.served, this.parts.current.config.rights);
  }

  private gift(node: string): Gift {
    return giftTo(node, this.parts.current.config.rights);
  }

  private newOpens(): Opens {
    const { clock, holds, volumes, server, snapshots, revocations } = this.parts;
    return new Opens(holds, {
      find: (node, request) => {
        const meant = this.meant(node, request);
        return meant !== null && revocations.isBarred(meant, node, request) ? null : meant;
      },
      notServed: (node, request) => {
        if (this.gift(node).opens === 'nothing') return onlyViews(node, request);
        const refusal = revocations.refusalOf(node, request, this.meant(node, request));
        if (refusal !== null) return refusal;
        const failures = [...volumes.failures, ...this.parts.administration.failures];
        const whyNoSnapshot = isSnapshot(request.name) ? snapshots.whyMissing(node, request) : null;
        return notOffered(node, request, failures, server, whyNoSnapshot);
      },
      role: (node) => forceRole(node, this.parts.current.config),
      incarnation: (one) => this.parts.incarnationOf(one),
      revokeHold: ({ id }, { node }, epoch, why) => this.parts.admissions.revokeForTakeOver(node, id, epoch, why),
      sync: ({ id }) => volumes.sync(id),
      incarnationEnded: (one) => this.parts.incarnationEnded(one),
      promiseOf: (mirror) => this.parts.voters.recordOf(mirror),
      tookOver: (...taken) => {
        this.parts.administration.tookOver(...taken);
        this.parts.listChanged(null);
      },
      disputedMs: (one) => this.parts.shared.disputedMs(one),
      pause: (ms) => sleep(clock, ms),
    });
  }
}

function heldField(heldBy: string | null): { readonly heldBy?: string } {
  return heldBy === null ? {} : { heldBy };
}

/**
 * Returns the refusal of what a client that opens no volumes may not ask for (T8); null for all other requests, which look at its volumes.
 */
function whyNot({ what }: SessionRequest, role: ClientRole): ListenerAnswer | null {
  const sentence = sentenceFor(role);
  if (sentence === null) return null;
  const status = STATUS.UNKNOWN_VOLUME;
  if (what === 'vote') return { voteStatus: status, sentence };
  if (what === 'nodes-seen') return { nodesStatus: status, sentence, silentMs: [] };
  return what === 'record-read' || what === 'record-write' ? { recordStatus: status, sentence, record: null } : null;
}

function sentenceFor(role: ClientRole): string | null {
  switch (GIFTS[role].opens) {
    case 'volumes':
      return null;
    case 'moments':
      return `This client has the right ${role}, and reads only moments of replications to it`;
    case 'nothing':
      return `This client has the right ${role}, and changes nothing: it needs the right use (rsadm client rights)`;
  }
}
