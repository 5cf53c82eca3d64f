// The pools of a simulated server on simulated file systems, during the life of one listener. Pools, their files and scans, snapshots,
// moves, jobs and comparisons are production code; only the opened volumes (sim-store-volumes.ts) and the file systems (files/) are
// simulated. The file systems and the volumes outlive the listener.

import type { ServerVolumeConfig, RssrvConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { ChangeQueue } from '@rsio/rssrv/admin/change-queue';
import type { Holds } from '@rsio/rssrv/volumes/holds/holds';
import type { VolumeUses } from '@rsio/rssrv/volumes/holds/volume-uses';
import { isOpen } from '@rsio/rssrv/jobs/job-plan';
import type { JobRecord } from '@rsio/rssrv/jobs/job-record';
import { Jobs } from '@rsio/rssrv/jobs/jobs';
import { ConfigInForce, type ConfigInForceParts } from '@rsio/rssrv/server/config-in-force';
import { CurrentConfig } from '@rsio/rssrv/server/current-config';
import type { ListAnnouncements } from '@rsio/rssrv/server/workers/list-announcements';
import type { Moments } from '@rsio/rssrv/snapshots/moments';
import { changedData } from '@rsio/rssrv/jobs/moves/changed-data';
import { decideMove } from '@rsio/rssrv/jobs/moves/move-rules';
import { VolumeMoves } from '@rsio/rssrv/jobs/moves/volume-moves';
import { VolumeSwitch } from '@rsio/rssrv/jobs/moves/volume-switch';
import { LOCAL_ASKER } from '@rsio/rssrv/pools/asker';
import { type Found, findVolume } from '@rsio/rssrv/pools/catalogue';
import type { VolumeId } from '@rsio/rssrv/pools/disk/ids';
import { PoolVerbs } from '@rsio/rssrv/pools/pool-verbs';
import { volumeConfigsOf } from '@rsio/rssrv/pools/pool-volume';
import { Pools } from '@rsio/rssrv/pools/pools';
import type { Turn } from '@rsio/rssrv/pools/requests/turn';
import { Comparisons } from '@rsio/rssrv/snapshots/reads/comparisons';
import { ServedSnapshots } from '@rsio/rssrv/snapshots/reads/served-snapshots';
import { SnapshotAnswers } from '@rsio/rssrv/snapshots/reads/snapshot-answers';
import { SnapshotVerbs } from '@rsio/rssrv/snapshots/snapshot-verbs';
import type { ClientIdentity } from '@rsio/rssrv/volumes/holds/grants';
import { NO_LOG } from '../base/no-log.ts';
import type { SimProcess } from '../base/sim-clock.ts';
import { SIM_REFLINK, simPunch } from '../files/sim-calls.ts';
import type { SimFiles } from '../files/sim-files.ts';
import { mountPath } from '../files/sim-mounts.ts';
import type { SimStorage } from '../storage/sim-storage.ts';
import { SimStoreVolumes, type StoredVolume } from './sim-store-volumes.ts';
import { NO_LEDGERS } from '@rsio/rssrv/testing/no-ledgers';

/** State that outlives the listener. */
export interface StoreMachine<Volume extends StoredVolume> {
  /** Names of the file systems of its pools. */
  readonly mounts: readonly [string, string];
  readonly stateMount: string;
  readonly files: readonly SimFiles[];
  /** Separate random numbers, so that these pools do not change the draws of other worlds. */
  readonly random: SeededRandom;
  readonly stepMs: number;
  readonly judge: { breach(sentence: string): void };
  /** Makes the volume for a new data file. */
  made(config: ServerVolumeConfig, storage: SimStorage): Volume;
  /** Called after each named step of a change, so that a fault can begin. */
  readonly reached: (step: string) => void;
  /** A listener has opened the pools. */
  started(store: SimStore): void;
}

export interface StorePorts<Volume extends StoredVolume> {
  readonly machine: StoreMachine<Volume>;
  readonly volumes: ReadonlyMap<string, Volume>;
  /** Process of the listener. */
  readonly process: SimProcess;
  readonly moments: Moments;
  readonly holds: () => Holds;
  readonly sessions: () => Iterable<StoreSession>;
  readonly listChanged: ListAnnouncements['changed'];
  readonly startIncarnation: (id: string) => void;
  incarnationOf(id: string): string;
  opened(volume: Volume): void;
  sync(volume: Volume): Promise<void>;
}

export interface StoreSession {
  readonly claimant: ClientIdentity;
  readonly uses: VolumeUses;
  /** Closes all handles of the volume, as VolumeSwitch describes. */
  closeHandles(volumeId: string): Promise<boolean>;
}

export class SimStore {
  readonly pools: Pools;
  readonly verbs: PoolVerbs;
  readonly snapshots: SnapshotVerbs;
  readonly comparisons: Comparisons;
  /** Snapshots for clients that open them by name. */
  readonly served: ServedSnapshots;
  readonly answers: SnapshotAnswers;
  readonly jobs: Jobs;
  /** Whether the pools are open. */
  isReady = false;
  private readonly queue: ChangeQueue;
  private readonly clock: Clock;
  private current: CurrentConfig | null = null;
  private inForce: ConfigInForce | null = null;

  constructor(ports: StorePorts<StoredVolume>) {
    const { machine, process, moments } = ports;
    const clock = wholeClock(process);
    this.clock = clock;
    this.queue = new ChangeQueue(clock);
    const volumes = new SimStoreVolumes(ports);
    this.pools = new Pools({
      ownershipOf: () => null,
      storageFailed: () => undefined,
      ledgers: NO_LEDGERS,
      clock,
      log: NO_LOG,
      reflink: SIM_REFLINK,
      allocate: async () => undefined,
      reached: machine.reached,
      takeLocks: async (requests) => requests.map(() => 'held' as const),
      answersAgain: (name) => void this.queue.runOwn(() => this.verbs.readAgain(name), 'a change of the server itself'),
      changed: () => undefined,
    });
    const { pools } = this;
    this.verbs = new PoolVerbs({
      pools,
      clock,
      log: NO_LOG,
      newId: () => uuidOf(machine.random),
      configured: () => [],
      check: (was, now) => void this.inForce!.checkChange(was, now),
      apply: (was, now) => this.inForce!.applyVolume(was, now),
    });
    this.served = this.newServed(ports);
    this.snapshots = new SnapshotVerbs({
      verbs: this.verbs,
      moments,
      log: NO_LOG,
      whileUnread: (record, name, work) => this.served.whileUnread(record, name, work),
      limitOf: () => null,
    });
    this.comparisons = new Comparisons(clock, SIM_REFLINK.ranges);
    this.answers = new SnapshotAnswers(this.served, this.comparisons);
    const moves = this.newMoves(ports, volumes);
    this.jobs = new Jobs({ clock, log: NO_LOG, file: `${mountPath(machine.stateMount)}/jobs.json`, run: (job) => moves.run(job) });
    this.start(ports, volumes, moves).catch((thrown: unknown) => machine.judge.breach(`C1: no start: ${toRsError(thrown).stack}`));
  }

  /** Executes an order when all earlier orders have ended. Throws RsError. */
  order<T>(work: (store: this, turn: Turn) => Promise<T>): Promise<T> {
    return this.queue.run((turn) => work(this, turn), 'a change by command');
  }

  find(name: string): Found {
    return findVolume({ pools: this.pools.states, configured: [] }, { name, universe: 0 }, LOCAL_ASKER);
  }

  /** Begins to move a volume. If the manager repeats the order, returns the job that the first order began. */
  move(name: string, to: string): Promise<JobRecord> {
    const found = this.find(name);
    const { pool, manifest } = found;
    const known = this.jobs.list.findLast((job) => job.volumeId === manifest.id && (isOpen(job) || job.to === pool.name) && job.to === to);
    if (known !== undefined) return Promise.resolve(known);
    const target = decideMove({ pools: this.pools.states, configured: [] }, found, to, LOCAL_ASKER);
    return this.jobs.add({
      id: this.jobs.nextId,
      kind: 'move',
      volumeId: manifest.id,
      name,
      universe: 0,
      from: pool.name,
      fromId: pool.identity!.id,
      to,
      toId: target.identity!.id,
      by: null,
      createdMs: this.clock.wallMs(),
      endedMs: null,
      state: 'waiting',
      reason: null,
      limitBytes: null,
      rounds: 0,
      doneBytes: 0,
      totalBytes: 0,
      move: null,
    });
  }

  /** Opens pools, volumes and jobs in the same order as the production listener. */
  private async start(ports: StorePorts<StoredVolume>, volumes: SimStoreVolumes<StoredVolume>, moves: VolumeMoves): Promise<void> {
    const { machine } = ports;
    await this.jobs.load();
    const settings = { limitBytes: null, reserve: 0, overcommit: 'warn' as const, shared: null, line: 1 };
    const configs = machine.mounts.map((name) => ({ name, path: mountPath(name), ...settings }));
    await (await this.pools.prepare(configs)).commit();
    const present = volumeConfigsOf(this.pools.states);
    this.current = new CurrentConfig({ volumes: present } as unknown as RssrvConfig, ports.process);
    this.inForce = newConfigInForce(ports, this.current, volumes, this.served);
    volumes.begin(present);
    this.isReady = true;
    machine.started(this);
    ports.listChanged([], null);
    await moves.sweep();
    this.jobs.start();
  }

  private newServed({ sessions, holds }: StorePorts<StoredVolume>): ServedSnapshots {
    return new ServedSnapshots({
      isCopying: () => false,
      pools: this.pools,
      holds: { holdersOf: (id) => holds().holdersOf(id) },
      volumes: () => this.current?.config.volumes ?? [],
      isOpen: (id, node) => [...sessions()].some(({ claimant, uses }) => claimant.node === node && uses.isGranted(id)),
      opening: () =>
        [...sessions()].flatMap(({ claimant: { node, address }, uses }) =>
          [...uses.openingIds].map((id) => ({ id, node, address, sinceMs: this.clock.wallMs() })),
        ),
    });
  }

  private newMoves(ports: StorePorts<StoredVolume>, volumes: SimStoreVolumes<StoredVolume>): VolumeMoves {
    const { verbs } = this;
    const closeHandles = async (id: string): Promise<boolean> => {
      const using = [...ports.sessions()].filter(({ uses }) => uses.has(id));
      return (await Promise.all(using.map((session) => session.closeHandles(id)))).every(Boolean);
    };
    return new VolumeMoves({
      clock: this.clock,
      log: NO_LOG,
      verbs,
      punch: simPunch,
      changedData: changedData(SIM_REFLINK.ranges!),
      volumeSwitch: new VolumeSwitch({
        clock: this.clock,
        volumes,
        sessions: { closeHandles },
        inForce: () => this.inForce!,
        listChanged: () => ports.listChanged([], null),
        incarnationOf: ({ id }) => ports.incarnationOf(id),
        disputedMs: () => 0,
        incarnationEnded: async ({ id }) => ports.startIncarnation(id),
      }),
      exclusive: (change, what) => this.queue.runOwn(change, what),
      moving: () => new Set(this.jobs.list.filter(isOpen).map(({ volumeId }) => volumeId)),
    });
  }
}

function newConfigInForce(
  { process, holds, sessions, listChanged, startIncarnation }: StorePorts<StoredVolume>,
  current: CurrentConfig,
  volumes: SimStoreVolumes<StoredVolume>,
  snapshots: ServedSnapshots,
): ConfigInForce {
  const parts: unknown = {
    clock: process,
    current,
    log: NO_LOG,
    volumes,
    shortage: { has: () => false },
    bandwidth: { refresh: () => undefined },
    halts: { facts: () => null },
    holds: { holdersOf: (id: string) => holds().holdersOf(id) },
    revocations: { isLeaving: () => false },
    snapshots,
    sessions: {
      get all() {
        return [...sessions()].map(({ claimant, uses }) => ({ client: claimant, uses }));
      },
    },
    lists: { changed: listChanged },
    incarnations: { start: async (id: string) => startIncarnation(id) },
  };
  return new ConfigInForce(parts as ConfigInForceParts);
}

/** A clock whose wall times are whole milliseconds, like those of the system clock. */
function wholeClock(process: SimProcess): Clock {
  return {
    monotonicMs: () => process.monotonicMs(),
    wallMs: () => Math.floor(process.wallMs()),
    after: (delayMs, fire) => process.after(delayMs, fire),
    soon: (fire) => process.soon(fire),
  };
}

function uuidOf(random: SeededRandom): VolumeId {
  const digits = random.bytes(16).toString('hex');
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}` as const;
}
