// Answers the requests of sessions to the listener: the list, OPENs, the ends of holds, ADMIN, files, and clones of chunks. Other modules
// decide each answer. Invariant: before a session is granted a volume, the session gets the limits of the volume. If a snapshot of the
// volume is being made, the session is also ordered to hold changes before it gets the grant.

import { sleep } from '@rsio/base/lib/waiting';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import { isSnapshot } from '@rsio/base/lib/volume-name';
import type { Log } from '@rsio/base/log/log';
import type { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import type { OpenRequest, ServerInterface } from '@rsio/protocol/wire/messages';
import { STATUS, statusEntry } from '@rsio/protocol/wire/status';
import type { Administration } from '../admin/administration.ts';
import type { Bandwidth } from '../volumes/throttle/bandwidth.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { type Bridges, systemBridges } from '../jobs/images/bridges.ts';
import type { Fences } from '../volumes/fences.ts';
import { GateRecords } from '../volumes/holds/gate-records.ts';
import { meantVolume } from '../volumes/holds/hold-rules.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import type { NodesAsk, NodesReply } from '../volumes/holds/node-asks.ts';
import { type OpeningSession, Opens } from '../volumes/holds/opens.ts';
import { disputePause } from '../volumes/holds/releases.ts';
import { Revocations } from '../volumes/holds/revocations.ts';
import type { Moments } from '../snapshots/moments.ts';
import { forceRole, whyNoPlace } from '../pools/asker.ts';
import type { Grant } from '../volumes/holds/grants.ts';
import type { SnapshotAnswers } from '../snapshots/reads/snapshot-answers.ts';
import type { ServedSnapshots } from '../snapshots/reads/served-snapshots.ts';
import { MirrorVotes, type ReplicaStore } from '../mirrors/mirror-votes.ts';
import type { VoteReply, VoteRequest } from '../mirrors/session-votes.ts';
import type { Voters } from '../mirrors/voters.ts';
import type { SpaceShortage } from '../volumes/space-shortage.ts';
import type { Volumes } from '../volumes/volumes.ts';
import type { ListenerAnswer, SessionRequest } from '../session/channel/channel.ts';
import type { WorkerRights } from './workers/worker-rights.ts';
import type { Admissions } from './admissions.ts';
import { askingSession, type ServedSession } from './served-session.ts';
import type { SharedPools } from './shared/shared-pools.ts';
import { nodesSeen, type NodesSeenPorts } from './nodes-seen.ts';
import { listFor, notOffered, offeredTo } from './offered-volumes.ts';

/** Refusals that depend on who holds the volume. */
const REFUSALS: readonly number[] = [STATUS.HELD, STATUS.TAKEN];

export interface SessionRequestPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly limitedLog: RateLimitedLog;
  /** Name of the server. */
  readonly server: string;
  readonly holds: Holds;
  readonly volumes: Volumes;
  readonly shortage: SpaceShortage;
  readonly bandwidth: Pick<Bandwidth, 'granted' | 'heldBy'>;
  readonly rights: WorkerRights;
  readonly moments: Moments;
  readonly snapshots: ServedSnapshots;
  readonly snapshotAnswers: SnapshotAnswers;
  readonly voters: Voters;
  readonly fences: Fences;
  admissions(): Admissions;
  administration(): Administration;
  config(): RssrvConfig;
  interfaces(): readonly ServerInterface[];
  incarnationOf(volume: ServedVolume): string;
  shared(): Pick<SharedPools, 'disputedMs' | 'isMine' | 'lookAgeMs'>;
  incarnationEnded(volume: ServedVolume): Promise<void>;
  /** Called when writes to a volume may be lost. */
  lost(volumeId: string): void;
  /**
   * Called when the entries of these volumes in the list have changed. Only clients that may attach one of the volumes are notified; if
   * `volumes` is null, all clients are notified.
   */
  listChanged(volumes: readonly ServedVolume[] | null): void;
}

export class SessionRequests {
  private readonly ports: SessionRequestPorts;
  private readonly opens: Opens;
  private readonly votes: MirrorVotes;
  readonly revocations: Revocations;
  readonly bridges: Bridges;
  readonly records: GateRecords;

  constructor(ports: SessionRequestPorts) {
    this.ports = ports;
    this.revocations = this.newRevocations();
    this.opens = this.newOpens();
    this.votes = this.newVotes();
    const { log, limitedLog, holds, fences, volumes } = ports;
    this.records = new GateRecords({
      log,
      limitedLog,
      holds,
      served: () => volumes.served,
      onPool: (poolId, work) => ports.administration().onLedger(poolId, work),
      order: (node, work) => fences.order(node, work),
      isMine: (...all) => ports.shared().isMine(...all),
    });
    this.bridges = systemBridges({
      clock: ports.clock,
      log: ports.log,
      pools: () => ports.administration().poolStates,
      served: (id) => this.served(id),
      sync: (id) => ports.volumes.sync(id, 'spare'),
      lost: (id) => ports.lost(id),
      placeOf: (id) => ports.snapshots.placeOf(id),
    });
  }

  async answer(session: ServedSession, request: SessionRequest): Promise<ListenerAnswer> {
    const { holds, rights, shortage, moments, bandwidth } = this.ports;
    const refused = this.ports.snapshots.isCopying(session.client.node) ? refusedToCopying(request) : null;
    if (refused !== null) return refused;
    switch (request.what) {
      case 'files':
        return rights.files.answer(session, request.volumeId);
      case 'list':
        return listFor(session, this.ports.interfaces(), this.offered(session.client.node), ({ id }) => ({
          holders: holds.holdersOf(id),
          waitsForSpace: shortage.has(id),
          ...heldField(bandwidth.heldBy(session.id, id)),
        }));
      case 'grant':
        return this.grant(session, request.request);
      case 'release':
        session.uses.delete(request.volumeId);
        // The hold belongs to the client, so that the CLOSE of one data process does not end the hold that another data process uses.
        if (this.ports.admissions().usedBeside(session, request.volumeId) === null)
          await holds.release(request.volumeId, session.client, request.epoch);
        return null;
      case 'admin-call':
      case 'admin-rest':
        return this.ports.administration().answer(askingSession(session), request);
      case 'vote':
        return this.vote(session, request);
      case 'clone':
        return moments.clone(session.id, request);
      case 'older-snapshots':
      case 'changes':
        return this.ports.snapshotAnswers.answer(session.uses, request);
      case 'bridge':
      case 'bridged':
        return this.bridges.answer(session, request);
      case 'record-read':
      case 'record-write':
        return this.records.answer({ client: session.client, isThere: () => askingSession(session).isThere() }, request);
      case 'nodes-seen':
        return this.nodesSeen(session.client.node, request);
      case 'look':
        return { isMine: await this.ports.shared().isMine(request.poolId, request.generation, request.hasFailed) };
      case 'look-age':
        return { lookAgeMs: this.ports.shared().lookAgeMs(request.poolId, request.generation) };
      case 'settle':
        return { isSettled: await holds.settle(request.volumeId, session.client, request.epoch, request.incarnation) };
    }
  }

  /** Returns the served volume or snapshot with this id, or null. */
  served(id: string): ServedVolume | null {
    const { volumes, snapshots } = this.ports;
    return volumes.served.find((volume) => volume.id === id) ?? snapshots.byId(id);
  }

  private nodesSeen(asker: string, ask: NodesAsk): NodesReply {
    const { ports } = this;
    const seen: NodesSeenPorts = {
      served: () => ports.volumes.served,
      recordOf: (mirror) => ports.voters.recordOf(mirror),
      silentMs: (node) => ports.admissions().silentMs(node),
    };
    return nodesSeen(seen, asker, ask);
  }

  private vote({ client, dataProcess, workerSession }: ServedSession, request: VoteRequest): Promise<VoteReply> {
    return this.votes.answer({ ...client, dataProcess }, request, () => !workerSession.isEnding && !this.ports.fences.has(client.node));
  }

  private newVotes(): MirrorVotes {
    const { ports } = this;
    const { clock, log, voters, holds, fences, volumes } = ports;
    return new MirrorVotes({
      clock,
      log,
      voters,
      holds,
      store: replicasOf(ports),
      served: () => volumes.served,
      whyNoPlace: (node, { id, name }) => {
        const config = ports.config();
        const pool = config.volumes.find((one) => one.id === id)?.pool?.name;
        const [manifest] = ports.administration().poolStates.flatMap(({ volumes: all }) => all.get(id) ?? []);
        const { owner = null, managers = [] } = manifest ?? {};
        return whyNoPlace(node, { name, owner, managers }, pool === undefined ? [] : [pool], config);
      },
      incarnationOf: (volume) => ports.incarnationOf(volume),
      incarnationEnded: (volume) => ports.incarnationEnded(volume),
      // A VOTE counts as an order. A fence is answered only when no order of the fenced client is being executed, so no VOTE of the client
      // runs after the fence was answered.
      order: (node, work) => fences.order(node, work),
      usersOf: (id) => ports.admissions().sessions.flatMap(({ client, uses }) => (uses.has(id) ? [client.node] : [])),
      revoke: (node, id, epoch, why) => ports.admissions().revokeForTakeOver(node, id, epoch, why),
      listChanged: (changed) => ports.listChanged(changed),
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
        const other = this.ports.admissions().usedBeside(session, volumeId);
        return other === null ? null : { dataProcess: other.dataProcess, isEnding: other.workerSession.isEnding };
      },
    };
    const grant = await this.opens.grant(opening, request);
    if (!grant.granted && REFUSALS.includes(grant.status)) {
      // A server that has lost the pool does not know the holders of its volumes, and must not name them in a refusal. A grant needs no
      // check here, because the worker looks at the owner of the pool.
      const pool = meantVolume(this.ports.volumes.served, request)?.pool;
      const [poolId = ''] = pool?.ids ?? [];
      if (pool?.ownership !== undefined && !(await this.ports.shared().isMine(poolId, pool.ownership.generation, false)))
        return { granted: false, status: STATUS.MOVED, sentence: statusEntry(STATUS.MOVED).sentence, holders: [] };
    }
    if (grant.granted) {
      this.ports.moments.granted(session, grant.volume.id);
      this.ports.bandwidth.granted(session, grant.volume.id);
    }
    return grant;
  }

  private newRevocations(): Revocations {
    const { ports } = this;
    const { clock, log, holds, volumes, snapshots, fences } = ports;
    return new Revocations({
      clock,
      log,
      holds,
      isFenced: (node) => fences.has(node),
      find: (id) => volumes.served.find((volume) => volume.id === id) ?? snapshots.byId(id),
      readBy: (...reader) => snapshots.readBy(...reader),
      incarnation: (volume) => ports.incarnationOf(volume),
      revoke: (...grants) => ports.admissions().revokeForTakeOver(...grants),
      sync: ({ id }) => volumes.sync(id),
      incarnationEnded: (volume) => ports.incarnationEnded(volume),
      disputedMs: (volume) => ports.shared().disputedMs(volume),
      pause: disputePause(clock, log),
      holdersChanged: () => ports.listChanged(null),
    });
  }

  /** Returns the volume or snapshot that an OPEN means, if the client may attach it. */
  private meant(node: string, request: OpenRequest): ServedVolume | null {
    const { snapshots } = this.ports;
    return isSnapshot(request.name) ? snapshots.find(node, request) : meantVolume(this.offered(node), request);
  }

  /** Returns the volumes that the client may attach; none for a client with the right `copy` (T8). */
  private offered(node: string): readonly ServedVolume[] {
    return this.ports.snapshots.isCopying(node) ? [] : offeredTo(node, this.ports.volumes.served);
  }

  private newOpens(): Opens {
    const { revocations } = this;
    const { clock, holds, volumes, server, snapshots } = this.ports;
    return new Opens(holds, {
      find: (node, request) => {
        const meant = this.meant(node, request);
        return meant !== null && revocations.isBarred(meant, node, request) ? null : meant;
      },
      notServed: (node, request) => {
        const refusal = revocations.refusalOf(node, request, this.meant(node, request));
        if (refusal !== null) return refusal;
        const failures = [...volumes.failures, ...this.ports.administration().failures];
        const whyNoSnapshot = isSnapshot(request.name) ? snapshots.whyMissing(node, request) : null;
        return notOffered(node, request, failures, server, whyNoSnapshot);
      },
      role: (node) => forceRole(node, this.ports.config()),
      incarnation: (one) => this.ports.incarnationOf(one),
      revokeHold: ({ id }, { node }, epoch, why) => this.ports.admissions().revokeForTakeOver(node, id, epoch, why),
      sync: ({ id }) => volumes.sync(id),
      incarnationEnded: (one) => this.ports.incarnationEnded(one),
      promiseOf: (mirror) => this.ports.voters.recordOf(mirror),
      holdersChanged: () => this.ports.listChanged(null),
      disputedMs: (one) => this.ports.shared().disputedMs(one),
      pause: (ms) => sleep(clock, ms),
    });
  }
}

function heldField(heldBy: string | null): { readonly heldBy?: string } {
  return heldBy === null ? {} : { heldBy };
}

/** Reads the port `administration` at each call, because the administration is made later than SessionRequests. */
function replicasOf({ administration }: Pick<SessionRequestPorts, 'administration'>): ReplicaStore {
  return {
    place: (volumeId, mirror) => administration().replicas.place(volumeId, mirror),
    unplace: (volumeId) => administration().replicas.unplace(volumeId),
  };
}

/** T8: returns the refusal of what a client with the right `copy` may not ask for; null for all other requests, which look at its volumes. */
function refusedToCopying({ what }: SessionRequest): ListenerAnswer | null {
  const [status, sentence] = [
    STATUS.UNKNOWN_VOLUME,
    'This client has the right copy, and reads only moments of replications to it',
  ] as const;
  if (what === 'vote') return { voteStatus: status, sentence };
  if (what === 'nodes-seen') return { nodesStatus: status, sentence, silentMs: [] };
  return what === 'record-read' || what === 'record-write' ? { recordStatus: status, sentence, record: null } : null;
}
