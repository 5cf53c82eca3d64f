// The holds of a simulated server: the production Holders, with a state file that takes time and may be cut short, and with ports that
// revoke handles in simulated processes and sync simulated storage. A fault may strike after each step of a take-over. The machine's state
// outlives the listener. The hold judge judges; it is told of every grant when it is answered or recorded, whichever is first.

import { RsError } from '@rsio/common/lib/errors';
import { type OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { ClientIdentity } from '@rsio/rssrv/workers/channel';
import type { VolumeHolds } from '@rsio/rssrv/holds/hold-rules';
import { type GrantPorts, Holds } from '@rsio/rssrv/holds/holds';
import type { HoldsFileContent } from '@rsio/rssrv/holds/holds-file';
import type { NodeNotes } from '@rsio/rssrv/holds/instances';
import type { Grant } from '@rsio/rssrv/session/session-volumes';
import type { HowTaken } from '../judges/hold-judge.ts';
import { NO_LOG } from '../base/no-log.ts';
import type { Descriptor } from '../storage/sim-cache.ts';
import type { SimProcess } from '../base/sim-clock.ts';
import type { SimMachine } from './sim-machine.ts';
import type { SimSession } from './sim-session.ts';
import { type SimVolume, served } from './sim-volume.ts';

/** The client process that asks. */
export interface SimClaimant extends ClientIdentity {
  /** A number that no other client process has, whatever identity it presents. */
  readonly client: number;
}

const HOW: Readonly<Record<number, HowTaken>> = { [TAKE.NO]: 'no', [TAKE.OVER]: 'over', [TAKE.FORCE]: 'force' };

export interface HoldsPorts {
  readonly machine: SimMachine;
  /** The listener's. */
  readonly process: SimProcess;
  readonly controlMs: number;
  readonly sessionOf: (node: string) => SimSession | undefined;
  /** The holders of a volume have changed: clients ask for the list. */
  readonly holdersChanged: () => void;
  /** A step of a take-over is done: a fault may strike now. */
  readonly stepped: () => void;
}

export class SimHolds {
  readonly holders: Holds;
  private readonly ports: HoldsPorts;
  private readonly entries: Map<string, VolumeHolds>;
  /** Changes in progress: when each was requested. */
  private readonly underWay = new Map<object, number>();
  /** The listener has each volume's storage open, so that it sees errors between two processes of clients. */
  private readonly descriptors = new Map<string, Descriptor>();

  /** As a new listener has read them. */
  constructor(ports: HoldsPorts) {
    const { process, machine, controlMs } = ports;
    this.ports = ports;
    this.holders = new Holds('simulated', () => Math.floor(process.wallMs()), NO_LOG);
    const content: () => HoldsFileContent = Reflect.get(Reflect.get(this.holders, 'file'), 'current');
    Reflect.set(this.holders, 'file', machine.file.openedBy(process, controlMs, content));
    this.entries = Reflect.get(this.holders, 'volumes');
    const nodes: Map<string, NodeNotes> = Reflect.get(this.holders, 'nodes');
    for (const { name, storage } of machine.volumes.values()) this.descriptors.set(name, storage.cache.open());
    const { kept } = machine.file;
    for (const [id, volume] of Object.entries(kept?.volumes ?? {})) this.entries.set(id, volume);
    for (const [node, notes] of Object.entries(kept?.nodes ?? {})) nodes.set(node, notes);
    machine.starts((volume) => this.holders.holdersOf(volume));
  }

  /** When the oldest change in progress was requested; infinity: none. */
  get oldestMs(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.underWay.values());
  }

  /** The listener is dead. */
  stop(): void {
    this.underWay.clear();
  }

  async grant(session: SimSession, request: OpenRequest): Promise<Grant> {
    const { machine, stepped } = this.ports;
    const { claimant } = session;
    const volume = machine.volumes.get(request.name);
    if (volume === undefined) return { granted: false, status: STATUS.UNKNOWN_VOLUME, sentence: `No volume ${request.name}`, holders: [] };
    // A resume of a shared volume needs no hold, so this checks that the client is the holder.
    const isHolder = volume.judge.last?.client === claimant.client && !volume.judge.last.released;
    if (volume.form !== null && (request.resume === null || !isHolder))
      return { granted: false, status: STATUS.VOLUME_UNAVAILABLE, sentence: `${volume.name} is not what it was`, holders: [] };
    const whyNot = machine.whyNotServed(volume, this.holders.holdersOf(volume.name));
    if (whyNot !== null) return { granted: false, status: STATUS.VOLUME_UNAVAILABLE, sentence: whyNot.message, holders: [] };
    const grant = await this.during(() => this.holders.grant(volume.name, claimant, request, this.portsFor(volume, session, request)));
    if (!grant.granted) return grant;
    if (request.resume !== null && grant.identity !== request.resume && !grant.volume.shared)
      volume.judge.breach(`H2: ${claimant.node} comes back as ${request.resume} and is given ${grant.identity}`);
    machine.decided(volume, this.entries.get(volume.name)!);
    volume.judge.answered(claimant.client);
    if (request.resume === null) volume.judge.settled(claimant.client, grant.incarnation);
    else if (volume.judge.unsettledSince(grant.incarnation) !== null) volume.oracle.replayed();
    stepped();
    return grant;
  }

  async release({ claimant }: SimSession, volume: string, epoch: number): Promise<void> {
    this.ports.machine.volumes.get(volume)?.judge.released(claimant.client);
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

  private descriptorOf({ name }: SimVolume): Descriptor {
    // A volume that was not there yet when this listener began was opened before anything befell it.
    const descriptor = this.descriptors.get(name) ?? { told: 0 };
    this.descriptors.set(name, descriptor);
    return descriptor;
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

  private portsFor(volume: SimVolume, session: SimSession, request: OpenRequest): GrantPorts {
    const { machine, process, stepped, sessionOf, holdersChanged } = this.ports;
    let isBegun = false;
    return {
      find: () => {
        if (!isBegun) machine.claimed(volume, session.claimant, HOW[request.take]!);
        isBegun = true;
        return served(volume);
      },
      incarnation: () => machine.incarnationOf(volume.name),
      revokeHold: (_volume, { node }, epoch) =>
        new Promise((resolve) => {
          const loser = sessionOf(node);
          if (loser === undefined) {
            resolve(true);
            return;
          }
          loser.revoke(volume.name, epoch, process, (isFlushed) => {
            stepped();
            resolve(isFlushed);
          });
        }),
      sync: () =>
        new Promise((resolve, reject) => {
          volume.storage.sync(process, this.descriptorOf(volume), (error) => {
            stepped();
            if (error === null) resolve();
            else reject(new RsError('E_VOLUME', `Volume ${volume.name} cannot be synced`));
          });
        }),
      incarnationEnded: async () => machine.incarnationEnded(volume.name),
      isWanted: () => !session.isEnding && !session.process.isKilled,
      holdersChanged,
    };
  }
}
