// The holds of a simulated server: the production Holders, with a state file that takes time and may be cut short, and with ports that
// revoke handles in simulated processes and sync simulated storage. A fault may come after each step of a take-over. The machine's state
// outlives the listener. The hold judge learns of each grant when the grant is answered or recorded, whichever comes first.

import { RsError } from '@rsio/base/lib/errors';
import { isSnapshot } from '@rsio/base/lib/volume-name';
import { type OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { ClientIdentity, Grant } from '@rsio/rssrv/volumes/holds/grants';
import type { VolumeHolds } from '@rsio/rssrv/volumes/holds/hold-rules';
import { type GrantPorts, Holds } from '@rsio/rssrv/volumes/holds/holds';
import { Opens } from '@rsio/rssrv/volumes/holds/opens';
import { Revocations } from '@rsio/rssrv/volumes/holds/revocations';
import { isFor, type ServedVolume } from '@rsio/rssrv/storage/io/served-volume';
import type { HoldsFileContent } from '@rsio/rssrv/volumes/holds/holds-file';
import type { NodeNotes } from '@rsio/rssrv/volumes/holds/instances';
import type { ServedSnapshots } from '@rsio/rssrv/snapshots/reads/served-snapshots';
import type { HowTaken } from '../judges/hold-judge.ts';
import { dataAt } from '../files/sim-calls.ts';
import { NO_LOG } from '../base/no-log.ts';
import type { Descriptor } from '../storage/sim-cache.ts';
import type { SimProcess } from '../base/sim-clock.ts';
import type { SimMachine } from './sim-machine.ts';
import type { SimSession } from './sim-session.ts';
import { describe, type SimVolume, served } from './sim-volume.ts';
import type { LedgerContent } from '@rsio/rssrv/volumes/holds/ledger-file';

export interface SimClaimant extends ClientIdentity {
  /** Unique number of the client process. The number does not depend on the identity that the process presents. */
  readonly client: number;
}

interface Turn {
  /** Whether the client held the volume when the turn of its OPEN came. Null: the turn has not come yet. */
  wasHeld: boolean | null;
}

/** The ledger of a new pool. One machine uses each simulated pool, so the owner does not matter. */
const LEDGER: LedgerContent = { poolId: '', generation: 1, owner: null, volumes: {}, nodes: {}, fences: {} };

const HOW: Readonly<Record<number, HowTaken>> = { [TAKE.NO]: 'no', [TAKE.OVER]: 'over', [TAKE.FORCE]: 'force' };

export interface HoldsPorts {
  readonly machine: SimMachine;
  /** Process of the listener. */
  readonly process: SimProcess;
  readonly controlMs: number;
  readonly sessionsOf: (node: string) => readonly SimSession[];
  /** Snapshots of the listener; null: the listener serves no snapshots. */
  readonly snapshots: () => Pick<ServedSnapshots, 'find' | 'whyMissing'> | null;
  /** Called when the holders of a volume have changed, so that clients ask for the list of volumes. */
  readonly holdersChanged: () => void;
  /** Called after each step of a take-over, so that a fault can begin. */
  readonly stepped: () => void;
}

export class SimHolds {
  readonly holders: Holds;
  readonly revocations: Revocations;
  private readonly ports: HoldsPorts;
  private readonly entries: Map<string, VolumeHolds>;
  /** For each change of holds in progress: the time at which it was requested. */
  private readonly underWay = new Map<object, number>();
  /** By volume id: the last OPEN whose turn has come. */
  private readonly turns = new Map<string, Turn>();
  /**
   * For each volume: the descriptor that the listener keeps open. With this descriptor, the listener also gets errors that occur while no
   * client's process has the storage open.
   */
  private readonly descriptors = new Map<string, Descriptor>();

  /** Makes the holds of a new listener, as it reads them from the state file. */
  constructor(ports: HoldsPorts) {
    const { process, machine, controlMs } = ports;
    this.ports = ports;
    const ledgers = new Map<string, { save(): Promise<void> }>();
    const save = (poolId: string): Promise<void> => {
      const content = (): LedgerContent => ({ ...LEDGER, poolId, ...this.holders.inLedger(poolId) });
      const ledger = ledgers.get(poolId) ?? machine.ledgerOf(poolId).openedBy(process, controlMs, content);
      ledgers.set(poolId, ledger);
      // In production, the ledger of an open pool is durable before a volume of the pool is served.
      this.holders.keptBy(poolId);
      return ledger.save();
    };
    this.holders = new Holds('simulated', () => Math.floor(process.wallMs()), NO_LOG, {
      save,
      isDirty: () => false,
      doubt: () => undefined,
    });
    const content: () => HoldsFileContent = Reflect.get(Reflect.get(this.holders, 'file'), 'current');
    Reflect.set(this.holders, 'file', machine.file.openedBy(process, controlMs, content));
    this.entries = Reflect.get(this.holders, 'volumes');
    const nodes: Map<string, NodeNotes> = Reflect.get(this.holders, 'nodes');
    for (const { id, storage } of machine.volumes.values()) this.descriptors.set(id, storage.cache.open());
    const { kept } = machine.file;
    for (const [id, volume] of Object.entries(kept?.volumes ?? {})) this.entries.set(id, volume);
    for (const [node, notes] of Object.entries(kept?.nodes ?? {})) nodes.set(node, notes);
    for (const [poolId, { kept: known }] of machine.ledgers) {
      if (known === null) continue;
      this.holders.adopt(poolId, known, new Set(Object.keys(known.volumes)), false);
      this.holders.keptBy(poolId);
    }
    this.revocations = this.newRevocations();
    machine.starts((volume) => this.holders.holdersOf(volume));
  }

  /** Time at which the oldest change in progress was requested; infinity: no change is in progress. */
  get oldestMs(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.underWay.values());
  }

  /** Stops the holds of a dead listener. */
  stop(): void {
    this.underWay.clear();
  }

  async grant(session: SimSession, request: OpenRequest): Promise<Grant> {
    const { machine, stepped } = this.ports;
    const { claimant, dataProcess, uses } = session;
    const opening = {
      client: claimant,
      dataProcess,
      uses,
      isEnding: () => session.isEnding || session.process.isKilled,
      ending: null,
      usedBeside: (volume: string) => this.usedBeside(session, volume),
    };
    const grant = await this.during(() => this.opensOf(session).grant(opening, request));
    if (!grant.granted) return grant;
    const volume = machine.volumes.get(grant.volume.id);
    // OPENs of snapshots are judged by the reader judge.
    if (volume === undefined) return grant;
    if (volume.isCut || (volume.isPooled && volume.config === null))
      volume.judge.breach(`H1: ${claimant.node} is granted a volume that is not served any more`);
    if (grant.incarnation !== machine.incarnationOf(volume.id))
      volume.judge.breach(`H1: ${claimant.node} is granted incarnation ${grant.incarnation}, which has ended`);
    if (request.resume !== null && grant.identity !== request.resume && !grant.volume.shared)
      volume.judge.breach(`H2: ${claimant.node} comes back as ${request.resume} and is given ${grant.identity}`);
    machine.decided(volume, this.entries.get(volume.id)!);
    volume.judge.answered(claimant.client);
    if (request.resume === null) volume.judge.settled(claimant.client, grant.incarnation);
    else if (volume.judge.unsettledSince(grant.incarnation) !== null) volume.oracle.replayed();
    stepped();
    return grant;
  }

  private usedBeside(session: SimSession, volume: string): SimSession | null {
    return this.ports.sessionsOf(session.node).find((one) => one !== session && one.uses.has(volume)) ?? null;
  }

  async release(session: SimSession, volume: string, epoch: number): Promise<void> {
    const { claimant } = session;
    if (this.usedBeside(session, volume) !== null) return;
    // A release up to a negative epoch ends no hold.
    if (epoch >= 0) this.ports.machine.volumes.get(volume)?.judge.released(claimant.client);
    await this.during(() => this.holders.release(volume, claimant, epoch));
  }

  async settle({ claimant }: SimSession, volume: string, epoch: number, incarnation: string): Promise<{ isSettled: boolean }> {
    const target = this.ports.machine.volumes.get(volume);
    const wasUnsettled = target?.judge.unsettledSince(incarnation) !== null;
    target?.judge.settled(claimant.client, incarnation);
    if (target?.judge.last?.client === claimant.client && incarnation === this.ports.machine.incarnationOf(volume))
      target.recovered(wasUnsettled);
    return { isSettled: await this.during(() => this.holders.settle(volume, claimant, epoch, incarnation)) };
  }

  async noteInstance(claimant: SimClaimant, replaced: SimClaimant | null): Promise<void> {
    await this.during(() => this.holders.noteInstance(claimant, replaced));
  }

  /**
   * Judges H1: a refused OPEN must not leave a hold that this OPEN began. If the hold that this OPEN began was recorded and has ended
   * since, tells the judge of the volume that the hold has ended.
   */
  private judgeRefused({ claimant }: SimSession, { id, judge }: SimVolume, turn: Turn): void {
    const isHeld = this.isHeldBy(id, claimant);
    // The hold counts for this OPEN only if no other OPEN has had its turn since.
    if (isHeld && turn.wasHeld === false && this.turns.get(id) === turn)
      judge.breach(`H1: an OPEN of ${claimant.node} is refused, and the hold that it began stays`);
    if (!isHeld && judge.last?.client === claimant.client) judge.released(claimant.client);
  }

  private isHeldBy(id: string, { node, process }: SimClaimant): boolean {
    return this.entries.get(id)?.holds.some((hold) => hold.node === node && hold.process === process) === true;
  }

  private descriptorOf({ id }: SimVolume): Descriptor {
    // A volume that was added after the start of this listener has no descriptor yet. The descriptor of such a volume counts as opened
    // before the first error (0).
    const descriptor = this.descriptors.get(id) ?? { told: 0 };
    this.descriptors.set(id, descriptor);
    return descriptor;
  }

  /** The listener has opened the file of a volume. */
  opened({ id, storage }: SimVolume): void {
    this.descriptors.set(id, storage.cache.open());
  }

  private async during<T>(work: () => Promise<T>): Promise<T> {
    const change = {};
    this.underWay.set(change, this.ports.process.monotonicMs());
    try {
      return await work();
    } finally {
      this.underWay.delete(change);
    }
  }

  private newRevocations(): Revocations {
    const { machine, process, holdersChanged } = this.ports;
    return new Revocations({
      clock: process,
      log: NO_LOG,
      isFenced: () => false,
      readBy: () => [],
      holdersChanged,
      holds: {
        endHold: (id, node, prepare) =>
          this.during(() =>
            this.holders.endHold(id, node, async (hold) => {
              await prepare(hold);
              machine.volumes.get(id)!.takenAway(node);
            }),
          ),
        epochOf: (id) => this.holders.epochOf(id),
        holdersOf: (id) => this.holders.holdersOf(id),
        holdOf: (id, node) => this.holders.holdOf(id, node),
      },
      find: (id) => {
        const volume = machine.volumes.get(id);
        return volume === undefined || volume.config === null || volume.isCut ? null : served(volume);
      },
      incarnation: ({ id }) => machine.incarnationOf(id),
      revoke: (node, id, epoch) => this.revoke(node, id, epoch),
      sync: ({ id }) => this.sync(machine.volumes.get(id)!),
      incarnationEnded: async ({ id }) => machine.incarnationEnded(id),
      // No pool of these worlds is shared.
      disputedMs: () => 0,
      pause: () => Promise.resolve(),
    });
  }

  /** Revokes the handles of a volume in the session of the node that uses the volume. */
  private revoke(node: string, id: string, epoch: number): Promise<boolean> {
    const { process, stepped, sessionsOf } = this.ports;
    return new Promise((resolve) => {
      const all = sessionsOf(node);
      const loser = all.length > 1 ? all.find(({ uses }) => uses.has(id)) : all[0];
      if (loser === undefined) {
        resolve(true);
        return;
      }
      loser.revoke(id, epoch, process, (isFlushed) => {
        stepped();
        resolve(isFlushed);
      });
    });
  }

  private opensOf(session: SimSession): Opens {
    const { machine, holdersChanged } = this.ports;
    return new Opens(
      { grant: (id, client, request, ports) => this.judgedGrant(session, id, client, request, ports) },
      {
        find: (_node, request) => this.find(session, request),
        notServed: (_node, request) => this.notServed(session, request),
        role: () => null,
        incarnation: ({ id, snapshotOf }) => (snapshotOf === undefined ? machine.incarnationOf(id) : 'snapshot'),
        revokeHold: ({ id }, { node }, epoch) => this.revoke(node, id, epoch),
        sync: ({ id }) => this.sync(machine.volumes.get(id)!),
        incarnationEnded: async ({ id }) => machine.incarnationEnded(id),
        promiseOf: (mirror) => machine.votes?.recordOf(mirror) ?? null,
        tookOver: () => holdersChanged(),
        disputedMs: () => 0,
        pause: () => Promise.resolve(),
      },
    );
  }

  private async judgedGrant(
    session: SimSession,
    id: string,
    client: ClientIdentity,
    request: OpenRequest,
    ports: GrantPorts,
  ): Promise<Grant> {
    if (!this.ports.machine.volumes.has(id)) return this.holders.grant(id, client, request, ports);
    const turn: Turn = { wasHeld: null };
    const grant = await this.holders.grant(id, client, request, this.judged(id, session, request, ports, turn));
    const volume = this.ports.machine.volumes.get(id)!;
    if (!grant.granted && volume.isPooled) this.judgeRefused(session, volume, turn);
    return grant;
  }

  /** Wraps the ports of a grant, so that the judges are told when the turn of an OPEN has come. */
  private judged(id: string, { claimant }: SimSession, request: OpenRequest, ports: GrantPorts, turn: Turn): GrantPorts {
    const { machine } = this.ports;
    const volume = machine.volumes.get(id)!;
    const find = (): ServedVolume | null => {
      if (turn.wasHeld === null) {
        machine.claimed(volume, claimant, HOW[request.take]!);
        turn.wasHeld = this.isHeldBy(id, claimant);
        this.turns.set(id, turn);
        if (volume.isPooled) machine.pool?.opening(id);
      }
      return ports.find();
    };
    return { ...ports, find };
  }

  private find({ claimant }: SimSession, request: OpenRequest): ServedVolume | null {
    if (isSnapshot(request.name)) return this.findSnapshot(claimant, request);
    const volume = this.ports.machine.meant(request);
    if (volume === null || this.whyNotServed(volume, claimant, request) !== null) return null;
    const one = served(volume);
    return isFor(one, claimant.node) && !this.revocations.isBarred(one, claimant.node, request) ? one : null;
  }

  private findSnapshot({ node }: SimClaimant, request: OpenRequest): ServedVolume | null {
    const found = this.ports.snapshots()?.find(node, request) ?? null;
    const data = found === null ? null : dataAt(found.path ?? '');
    if (found === null || data === null) return null;
    describe(found, data.storage);
    return found;
  }

  private notServed({ claimant }: SimSession, request: OpenRequest): Grant {
    if (isSnapshot(request.name)) {
      const why = this.ports.snapshots()?.whyMissing(claimant.node, request) ?? 'There is no such snapshot';
      return { granted: false, status: STATUS.UNKNOWN_VOLUME, sentence: why, holders: [] };
    }
    const meant = this.ports.machine.meant(request);
    const isHidden = meant !== null && !isFor(served(meant), claimant.node);
    const refusal = this.revocations.refusalOf(claimant.node, request, meant === null || isHidden ? null : served(meant));
    if (refusal !== null) return refusal;
    if (isHidden) return { granted: false, status: STATUS.UNKNOWN_VOLUME, sentence: `No volume ${request.name}`, holders: [] };
    const volume = this.ports.machine.volumes.get(request.name);
    const sentence =
      volume === undefined ? `No volume ${request.name}` : (this.whyNotServed(volume, claimant, request) ?? 'It has changed');
    const status = volume === null ? STATUS.UNKNOWN_VOLUME : STATUS.VOLUME_UNAVAILABLE;
    return { granted: false, status, sentence, holders: [] };
  }

  private whyNotServed(volume: SimVolume, { client }: SimClaimant, { resume }: OpenRequest): string | null {
    if (volume.isCut) return `${volume.name} is shorter than it was`;
    if (volume.isSuspended) return `${volume.name} changes its file`;
    const isHolder = volume.judge.last?.client === client && !volume.judge.last.released;
    if (volume.form !== null && (resume === null || !isHolder)) return `${volume.name} is not what it was`;
    return this.ports.machine.whyNotServed(volume, this.holders.holdersOf(volume.id))?.message ?? null;
  }

  sync(volume: SimVolume): Promise<void> {
    const { process, stepped } = this.ports;
    return new Promise((resolve, reject) => {
      volume.storage.sync(process, this.descriptorOf(volume), (error) => {
        stepped();
        if (error === null) resolve();
        else reject(new RsError('E_VOLUME', `Volume ${volume.name} cannot be synced`));
      });
    });
  }
}
