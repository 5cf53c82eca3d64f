// The simulated process of one session at a server: the production Session, its ports, and the storage. Each call of a port takes time. The
// process can be killed at any moment, or told to end. This file counts the running work of the control plane, so that the world can wait
// for its promises.

import { TAKE_OVER_REVOKE_MS, WORKER_DRAIN_TIMEOUT_MS, WORKER_FAREWELL_MS } from '@rsio/rssrv/server/limits';
import type { OpenRequest, ServerInterface, VolumeEntry } from '@rsio/protocol/wire/messages';
import { assert } from '@rsio/base/lib/assert';
import type { Timer } from '@rsio/base/lib/clock';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { type GrownVolume, isFor, type ServedVolume } from '@rsio/rssrv/storage/io/served-volume';
import { VolumeUses } from '@rsio/rssrv/volumes/holds/volume-uses';
import type { Admission } from '@rsio/rssrv/session/server-path';
import { Session } from '@rsio/rssrv/session/session';
import type { HoldMessage } from '@rsio/rssrv/snapshots/hold-messages';
import type { Moments } from '@rsio/rssrv/snapshots/moments';
import type { SnapshotAnswers } from '@rsio/rssrv/snapshots/reads/snapshot-answers';
import type { Grant } from '@rsio/rssrv/volumes/holds/grants';
import type { VoteReply, VoteRequest } from '@rsio/rssrv/mirrors/session-votes';
import { NO_LOG } from '../base/no-log.ts';
import { SimProcess, type SimClock } from '../base/sim-clock.ts';
import type { SimClaimant, SimHolds } from './sim-holds.ts';
import type { SimEnd } from '../network/sim-link.ts';
import type { SimMachine } from './sim-machine.ts';
import { simPools } from '../base/sim-pools.ts';
import { SimBackend } from '../storage/sim-backend.ts';
import { type SimVolume, served, storageOf } from './sim-volume.ts';

/** State that the sessions of one server share. */
export interface SessionHost {
  readonly random: SeededRandom;
  /** Process of the current listener. */
  readonly listener: () => SimProcess;
  readonly holds: () => SimHolds;
  readonly machine: SimMachine;
  /** Moments of the current listener; null: this world takes no snapshots. */
  readonly moments: () => Moments | null;
  /** Snapshots of the current listener; null: the listener serves no snapshots. */
  readonly snapshots: () => Pick<SnapshotAnswers, 'answer'> | null;
  /** Called when a sync of the volume has failed in a server process, so that acknowledged writes may be lost. */
  lost(volume: string): void;
  readonly slots: number;
  /** Longest time of a step of the control plane, ms. */
  readonly controlMs: number;
  breach(sentence: string): void;
  /** Returns the number of the next process; numbers grow. */
  nextProcessNumber(): number;
  /**
   * Returns the number of the next period in which a session has a volume; numbers grow. Null: no client has data processes, and the number
   * of the process tells the order.
   */
  readonly nextPeriod: (() => number) | null;
}

/** The interfaces that a server announces. */
export interface SimList {
  readonly interfaces: readonly ServerInterface[];
  readonly generation: number;
}

export class SimSession {
  readonly id: string;
  readonly processNumber: number;
  readonly claimant: SimClaimant;
  readonly secret: Buffer;
  readonly dataProcess: number;
  /** Identifies the data process among those of all nodes. */
  readonly key: string;
  readonly process: SimProcess;
  readonly session: Session;
  readonly pools = simPools();
  /** Called when the process has ended. */
  readonly whenGone: (() => void)[] = [];
  isEnding = false;
  /** Whether the listener of the process is dead, so that the process will exit. */
  isOrphan = false;
  /** Time since which the session has no path; null: the session has a path. */
  silentSinceMs: number | null = null;
  private isClean = false;
  /** Volumes that the session has or is opening, with the epoch of each hold. */
  readonly uses = new VolumeUses();
  /** For each volume that the session has: number of the period, in worlds with data processes. */
  private readonly periods = new Map<string, number>();
  private readonly grants = new WeakMap<ServedVolume, { readonly epoch: number; readonly incarnation: number }>();
  private readonly clock: SimClock;
  private readonly host: SessionHost;
  private readonly list: () => SimList;
  private readonly backends: SimBackend[] = [];
  /** Time at which the last answer of the listener to a question of this process arrives. */
  private answeredMs = 0;
  /** Time at which the last message of the listener arrives. */
  private arrivedMs = 0;
  /** The client of the session, as the moments of the listener identify it. */
  readonly client: { readonly node: string };
  readonly workerSession = { send: (message: HoldMessage): void => this.arrives(() => this.session.volumes.gates.receive(message)) };

  constructor(
    clock: SimClock,
    host: SessionHost,
    list: () => SimList,
    claimant: SimClaimant,
    secret: Buffer,
    dataProcess: number,
    key: string,
  ) {
    this.dataProcess = dataProcess;
    this.key = key;
    this.clock = clock;
    this.host = host;
    this.list = list;
    this.processNumber = host.nextProcessNumber();
    this.claimant = claimant;
    this.client = claimant;
    this.secret = secret;
    this.process = new SimProcess(clock);
    const id = host.random.bytes(16);
    this.id = id.toString('hex');
    const { interfaces, generation } = list();
    this.session = new Session(id, interfaces, generation, this.ports(), host.slots);
    this.process.whenKilled = () => this.gone();
  }

  get node(): string {
    return this.claimant.node;
  }

  /** A proven socket arrives from the listener. */
  take(end: SimEnd, delayMs: number, admission: Admission): void {
    end.owner = this.process;
    this.process.after(delayMs, () => {
      // Admits the socket even if its client has closed it since, because the session detects this when it reads.
      if (!end.isClosed) this.session.admit(end, admission);
    });
  }

  /** Notifies the process of a changed list when it runs. */
  listChanged(grown: readonly GrownVolume[] = []): void {
    this.arrives(() => {
      const { interfaces, generation } = this.list();
      this.session.listChanged(interfaces, generation, grown);
    });
  }

  /** The session no longer has the volume. */
  private ends(volume: string): void {
    this.uses.delete(volume);
    this.periods.delete(volume);
  }

  /** Answers executing requests, closes, and then ends. */
  end(code: string, sentence: string): void {
    if (this.isEnding) return;
    this.isEnding = true;
    this.process.after(0, () => {
      void this.session.end(code, sentence).then(() => this.process.after(WORKER_FAREWELL_MS, () => this.ended()));
    });
    this.clock.after(WORKER_DRAIN_TIMEOUT_MS, () => this.kill());
  }

  kill(): void {
    this.process.kill();
  }

  /** Revokes the handles that this process has of the volume. The client keeps the hold, and opens the volume again. */
  revokeLost(volume: string, epoch: number): void {
    if (!this.uses.isGranted(volume)) return;
    this.process.after(this.host.random.unit() * this.host.controlMs, () => {
      void this.session.revoke(volume, epoch);
    });
  }

  /**
   * Revokes the handles of the volume, and calls `done` when none of their requests executes (H2). If this takes too long, the process is
   * ended. `isFlushed` is false if written data may be lost.
   */
  revoke(volume: string, epoch: number, listener: SimProcess, done: (isFlushed: boolean) => void): void {
    let timer: Timer | null = null;
    let isDone = false;
    const once = (isFlushed: boolean): void => {
      if (isDone) return;
      isDone = true;
      timer?.cancel();
      listener.after(0, () => {
        done(isFlushed);
      });
    };
    if (this.process.isKilled) {
      once(true);
      return;
    }
    timer = listener.after(TAKE_OVER_REVOKE_MS, () => this.end('E_NO_SESSION', 'A volume was taken over, and its I/O does not end'));
    this.whenGone.push(() => once(true));
    this.process.after(this.host.random.unit() * this.host.controlMs, () => {
      void this.session.revoke(volume, epoch).then((isFlushed) => {
        this.process.after(0, () => {
          this.ends(volume);
          once(isFlushed);
        });
      });
    });
  }

  /** Closes the process's handles of the volume. The client keeps the hold. VolumeSwitch describes the result of this function. */
  closeHandles(volume: string): Promise<boolean> {
    if (this.process.isKilled) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.whenGone.push(() => this.say(() => resolve(true)));
      this.arrives(() => void this.session.revoke(volume, Number.MAX_SAFE_INTEGER).then((isFlushed) => this.say(() => resolve(isFlushed))));
    });
  }

  /** Called when the session is closed. Judges that all buffers were returned, except those of last messages that are still in flight. */
  private ended(): void {
    this.isClean = true;
    const left = this.pools.bodies.lent.size;
    if (left > 0)
      this.host.breach(`${left} body buffers of the server process of ${this.node}, number ${this.processNumber}, are not back at its end`);
    this.kill();
  }

  private gone(): void {
    if (!this.isClean) for (const volume of this.uses) this.host.machine.incarnationEnded(volume);
    for (const backend of this.backends) backend.killed();
    this.pools.outputs.reclaim();
    for (const gone of this.whenGone) gone();
  }

  private ports(): ConstructorParameters<typeof Session>[3] {
    const { process, host, pools } = this;
    return {
      clock: process,
      log: NO_LOG,
      pools,
      look: () => Promise.resolve(true),
      lookAge: () => Promise.resolve(0),
      quietChanged: () => undefined,
      pathsChanged: (count) => {
        this.silentSinceMs = count > 0 ? null : process.monotonicMs();
      },
      clientEnds: (sentence) => {
        if (!this.isEnding) process.after(0, () => this.end('E_NO_SESSION', sentence));
      },
      list: () => this.asked(async () => ({ ...this.list(), volumes: this.offers() })),
      grant: (request) => this.asked(() => this.grant(request)),
      admin: () => Promise.reject(new Error('The simulator sends no ADMIN')),
      vote: (request) => this.asked(() => this.vote(request)),
      settle: (volumeId, epoch, incarnation) => this.asked(() => host.holds().settle(this, volumeId, epoch, incarnation)),
      release: (volumeId, epoch) =>
        this.asked(() => {
          this.ends(volumeId);
          return host.holds().release(this, volumeId, epoch);
        }),
      lost: (volumeId) => this.say(() => host.lost(volumeId)),
      cut: () => assert(false, 'Storage that nobody cut was found cut'),
      waitsForSpace: () => undefined,
      throttled: () => undefined,
      held: (number) => this.say(() => host.moments()?.held(this.id, number)),
      askRecord: () => Promise.resolve(null),
      askNodes: () => Promise.resolve(null),
      askSnapshot: (ask) => this.asked(async () => (await host.snapshots()?.answer(this.uses, ask)) ?? null),
      clone: (request) => this.asked(async () => (await host.moments()?.clone(this.id, request)) ?? null),
      openBackend: async (volume) => {
        const { replica } = host.machine.volumes.get(volume.id) ?? { replica: null };
        const backend = await this.shortly(() => {
          const storage = storageOf(volume) ?? host.machine.volumes.get(volume.id)!.storageNow;
          const backend = new SimBackend(storage, process, {
            node: this.node,
            processNumber: this.processNumber,
            period: this.periods.get(volume.id) ?? this.processNumber,
            ...this.grants.get(volume)!,
          });
          this.backends.push(backend);
          return backend;
        });
        return replica === null ? backend : replica.open(backend, process);
      },
    };
  }

  /**
   * Delivers a message of the listener to this process, after all earlier messages of the listener. In worlds with snapshots, the delivery
   * takes time.
   */
  private arrives(told: () => void): void {
    const { clock, process, host } = this;
    const nowMs = clock.monotonicMs();
    if (host.moments() !== null) this.arrivedMs = Math.max(this.arrivedMs, nowMs + host.random.unit() * host.controlMs);
    process.after(Math.max(0, this.arrivedMs - nowMs), told);
  }

  /**
   * Delivers a message to the listener, after all earlier messages of this process, even if this process has ended since it sent the
   * message.
   */
  private say(told: () => void): void {
    const { clock, host } = this;
    const { listener } = host;
    clock.after(this.delayMs(), () => listener().after(0, told));
  }

  private delayMs(): number {
    const { clock, host } = this;
    const nowMs = clock.monotonicMs();
    this.answeredMs = Math.max(this.answeredMs, nowMs + host.random.unit() * host.controlMs);
    return this.answeredMs - nowMs;
  }

  /** Asks the listener, which gets the questions in their order and answers at any time. */
  private asked<T>(ask: () => Promise<T>): Promise<T> {
    const { host, process } = this;
    const delayMs = this.delayMs();
    return new Promise((resolve) => {
      const answer = (given: T): void => this.arrives(() => resolve(given));
      process.after(delayMs, () =>
        host.listener().after(0, () => {
          void ask().then(answer);
        }),
      );
    });
  }

  /** Runs a step of the control plane. The step takes time, and never ends if the process dies before the end of the step. */
  private shortly<T>(give: () => T): Promise<T> {
    const { process, host } = this;
    return new Promise((resolve) => {
      process.after(host.random.unit() * host.controlMs, () => {
        resolve(give());
      });
    });
  }

  /** Each node sees only its own volumes. */
  private offers(): VolumeEntry[] {
    const volumes = [...this.host.machine.volumes.values()].filter(
      ({ users, readers, isPooled, config, isSuspended }) =>
        (users.some(({ node }) => node === this.node) || readers.has(this.node)) &&
        (!isPooled || (config !== null && isFor(config, this.node))) &&
        !isSuspended,
    );
    return volumes.map((volume) => ({ ...entryOf(volume), holders: this.host.holds().holders.holdersOf(volume.id) }));
  }

  private vote(request: VoteRequest): Promise<VoteReply> {
    const { votes } = this.host.machine;
    if (votes === null) throw new Error('No client of this world sends VOTE');
    return votes.answer({ ...this.claimant, dataProcess: this.dataProcess }, request, () => !this.isEnding && !this.process.isKilled);
  }

  private async grant(request: OpenRequest): Promise<Grant> {
    const grant = await this.host.holds().grant(this, request);
    if (!grant.granted) return grant;
    this.host.moments()?.granted(this, grant.volume.id);
    const { id } = grant.volume;
    if (this.host.nextPeriod !== null && !this.periods.has(id)) this.periods.set(id, this.host.nextPeriod());
    this.grants.set(grant.volume, { epoch: epochOf(grant.identity), incarnation: epochOf(grant.incarnation) });
    return grant;
  }
}

/** Returns the number at the end of an identity: for the identity of a hold its epoch, for the identity of an incarnation its number. */
export function epochOf(identity: string): number {
  return Number(identity.slice(identity.lastIndexOf('.') + 1));
}

function entryOf(volume: SimVolume): VolumeEntry {
  const { name, id, universe, sizeBytes, blockSizeBytes, readonly, shared, replica } = served(volume);
  const mirror = replica === undefined ? {} : { mirror: replica.mirror };
  return { name, id, universe, sizeBytes, blockSizeBytes, readonly, shared, holders: [], waitsForSpace: false, ...mirror };
}
