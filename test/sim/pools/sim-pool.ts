// The pool of a simulated server during the life of one listener: the production verbs, deciders, queue and ConfigInForce over a simulated
// disk, and a stand-in for the opened volumes. Orders come from sim-manager.ts. The disk and the volumes outlive the listener.

import type { RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { accessHandlers } from '@rsio/rssrv/admin/access-handlers';
import { ChangeQueue } from '@rsio/rssrv/admin/change-queue';
import type { LoggedChanges } from '@rsio/rssrv/admin/logged-changes';
import type { GrownVolume } from '@rsio/rssrv/storage/io/served-volume';
import type { Holds } from '@rsio/rssrv/volumes/holds/holds';
import type { Revocations } from '@rsio/rssrv/volumes/holds/revocations';
import type { VolumeUses } from '@rsio/rssrv/volumes/holds/volume-uses';
import type { ClientIdentity } from '@rsio/rssrv/volumes/holds/grants';
import { ConfigInForce, type ConfigInForceParts } from '@rsio/rssrv/server/config-in-force';
import { CurrentConfig } from '@rsio/rssrv/server/current-config';
import { LOCAL_ASKER } from '@rsio/rssrv/pools/asker';
import type { Found, PoolState } from '@rsio/rssrv/pools/catalogue';
import type { VolumeId } from '@rsio/rssrv/pools/disk/ids';
import type { Manifest } from '@rsio/rssrv/pools/disk/manifest';
import type { PoolFiles } from '@rsio/rssrv/pools/disk/pool-files';
import { PoolVerbs } from '@rsio/rssrv/pools/pool-verbs';
import { volumeConfigOf } from '@rsio/rssrv/pools/pool-volume';
import { Pools } from '@rsio/rssrv/pools/pools';
import { NO_LOG } from '../base/no-log.ts';
import type { SimProcess } from '../base/sim-clock.ts';
import type { PoolJudge } from '../judges/pool-judge.ts';
import type { SimDisk } from '../storage/sim-disk.ts';
import { SimPoolFiles } from './sim-pool-files.ts';
import { type PooledVolume, SimServedVolumes } from './sim-served-volumes.ts';
import { NO_LEDGERS } from '@rsio/rssrv/testing/no-ledgers';

/** State that outlives the listener. */
export interface PoolMachine {
  readonly disk: SimDisk;
  readonly judge: PoolJudge;
  /** Separate random numbers, so that pools do not change the draws of other worlds. */
  readonly random: SeededRandom;
  /** Longest time of a step on disk, ms. */
  readonly stepMs: number;
  /** The clients that may attach a new volume; null: all clients. */
  readonly clients: readonly string[] | null;
  /** Makes the volume for a new data file. */
  made(manifest: Manifest): void;
  /** Called when the turn of an OPEN has come. */
  opening(id: string): void;
  /** Called after each step of a change, so that a fault can begin. */
  stepped(): void;
  fails(): boolean;
}

export interface SimPoolPorts {
  readonly pool: PoolMachine;
  readonly volumes: ReadonlyMap<string, PooledVolume>;
  /** Process of the listener. */
  readonly process: SimProcess;
  readonly holds: () => Holds;
  readonly revocations: () => Revocations;
  readonly sessions: () => Iterable<{ readonly claimant: ClientIdentity; readonly uses: VolumeUses }>;
  readonly listChanged: (grown: readonly GrownVolume[]) => void;
  readonly startIncarnation: (id: string) => void;
}

export type Order =
  | { readonly verb: 'create'; readonly name: string; readonly sizeBytes: number }
  | { readonly verb: 'grow'; readonly name: string; readonly sizeBytes: number }
  | { readonly verb: 'rename'; readonly name: string; readonly to: string }
  | { readonly verb: 'set'; readonly name: string; readonly takeOver: readonly string[] | null }
  | { readonly verb: 'remove' | 'restore'; readonly name: string }
  | { readonly verb: 'revoke' | 'allow'; readonly name: string; readonly client: string };

type AccessOrder = Extract<Order, { verb: 'revoke' | 'allow' }>;

const POOL = { name: 'pool', path: '/pool' };
const SPACE_BYTES = 2 ** 40;

/** The pools of a listener. These pools have no files, and are open from the beginning. */
export class SimPools extends Pools {
  private readonly sim: PoolMachine;
  private readonly files: PoolFiles;

  constructor(sim: PoolMachine, process: SimProcess) {
    const nothing = (): undefined => undefined;
    const allocate = async (): Promise<void> => undefined;
    const locks = { takeLocks: async () => [], ledgers: NO_LEDGERS, ownershipOf: () => null, storageFailed: () => undefined };
    super({ clock: process, log: NO_LOG, ...locks, allocate, answersAgain: nothing, changed: nothing });
    this.sim = sim;
    this.files = new SimPoolFiles({
      disk: sim.disk,
      process,
      random: sim.random,
      stepMs: sim.stepMs,
      made: (manifest) => sim.made(manifest),
      stepped: () => sim.stepped(),
      fails: () => sim.fails(),
    });
    this.scan();
  }

  override async measure(): Promise<void> {}

  override async settleParts(): Promise<void> {}

  override async onDisk<T>(_pool: unknown, _limitMs: number, work: (files: PoolFiles) => Promise<T>): Promise<T> {
    try {
      return await work(this.files);
    } catch (thrown) {
      throw new RsError('E_POOL', `The pool cannot be changed: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }

  override async readAgain(): Promise<void> {
    this.scan();
  }

  /** Called before a scan: makes the state that the scan reads durable, because the listener then serves that state. */
  makeDurable(): void {
    this.sim.disk.sync();
  }

  /** Reads the pool. */
  scan(): void {
    const { disk } = this.sim;
    this.makeDurable();
    const folders = [...disk.shown.entries()];
    const state: PoolState = {
      ...POOL,
      limitBytes: null,
      reserve: 0,
      overcommit: 'warn',
      identity: { id: '00000000-0000-4000-8000-00000000000a', createdMs: 0 },
      isShared: false,
      ownership: null,
      isOpen: true,
      trouble: null,
      hasReflink: true,
      space: { totalBytes: SPACE_BYTES, freeBytes: SPACE_BYTES },
      volumes: new Map(folders.filter(([, { place }]) => place === 'volumes').map(([id, { manifest }]) => [id, manifest])),
      removed: new Map(
        folders.flatMap(([id, { place, manifest, removal }]) =>
          place === 'removed' && removal !== null ? [[id, { manifest, removal }] as const] : [],
        ),
      ),
      snapshots: new Map(),
      purging: new Map(),
      parts: new Map(),
      partBytes: 0,
      unreadable: new Set(),
      findings: [],
    };
    Reflect.set(this, 'list', [{ state, files: this.files, lock: null }]);
  }
}

function isAboutAccess(order: Order): order is AccessOrder {
  return order.verb === 'revoke' || order.verb === 'allow';
}

export class SimPool {
  private readonly ports: SimPoolPorts;
  private readonly verbs: PoolVerbs;
  private readonly queue = new ChangeQueue();

  constructor(ports: SimPoolPorts) {
    this.ports = ports;
    const { pool, volumes, process } = ports;
    const pools = new SimPools(pool, process);
    pool.judge.look('at a start');
    const present = pools.states.flatMap((state) =>
      [...state.volumes.values()].map((manifest) => volumeConfigOf(state, manifest, pools.states)),
    );
    const served = new SimServedVolumes({ volumes, pool, process });
    served.begin(present);
    const inForce = this.newConfigInForce(present, served);
    this.verbs = new PoolVerbs({
      pools,
      clock: process,
      log: NO_LOG,
      newId: () => uuidOf(pool.random),
      configured: () => [],
      check: (was, now) => void inForce.checkChange(was, now),
      apply: (was, now) => inForce.applyVolume(was, now),
    });
  }

  /** Executes an order when all earlier orders have ended. Throws RsError. */
  execute(order: Order, request: string): Promise<Found> {
    if (isAboutAccess(order)) return this.changeAccess(order, request);
    return this.queue.run(() => this.run(order, request), 'a change by command');
  }

  /** Executes an order by its production handler, which enters the queue itself. */
  private async changeAccess({ verb, name, client }: AccessOrder, request: string): Promise<Found> {
    const change = async (_verb: string, _name: object, work: () => Promise<Found>): Promise<object> => ({
      volume: await this.queue.run(work, 'a change by command'),
    });
    const changes = { change, checkWanted: () => undefined } as unknown as LoggedChanges;
    const ports = { revocations: this.ports.revocations(), fences: { order: <T>(_: string | null, work: () => Promise<T>) => work() } };
    const handler = accessHandlers(changes, this.verbs, ports, LOCAL_ASKER)[`volume-${verb}`];
    const { volume } = (await handler({ name, universe: 0, client, request })) as unknown as { readonly volume: Found };
    return volume;
  }

  private run(order: Exclude<Order, AccessOrder>, request: string): Promise<Found> {
    const name = { name: order.name, universe: 0 };
    switch (order.verb) {
      case 'create':
        return this.verbs.create(
          { ...CREATED, ...name, clients: this.ports.pool.clients, sizeBytes: order.sizeBytes },
          LOCAL_ASKER,
          request,
        );
      case 'grow':
        return this.verbs.grow(name, order.sizeBytes, LOCAL_ASKER, request);
      case 'rename':
        return this.verbs.rename(name, { name: order.to, universe: 0 }, LOCAL_ASKER, request);
      case 'set':
        return this.verbs.set(name, { takeOver: order.takeOver }, LOCAL_ASKER, request);
      case 'remove':
        return this.verbs.remove(name, LOCAL_ASKER, request);
      case 'restore':
        return this.verbs.restore(name, LOCAL_ASKER, request);
    }
  }

  private newConfigInForce(volumes: readonly ServerVolumeConfig[], served: SimServedVolumes): ConfigInForce {
    const { process, holds, sessions, listChanged, startIncarnation } = this.ports;
    const parts: unknown = {
      clock: process,
      current: new CurrentConfig({ volumes } as unknown as RssrvConfig, process),
      log: NO_LOG,
      volumes: served,
      shortage: { has: () => false },
      bandwidth: { refresh: () => undefined },
      halts: { facts: () => null },
      holds: { holdersOf: (id: string) => holds().holdersOf(id) },
      revocations: { isLeaving: (id: string, node: string) => this.ports.revocations().isLeaving(id, node) },
      snapshots: { readersOf: () => [] },
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
}

const CREATED = {
  blockSizeBytes: 512,
  pool: null,
  thick: false,
  readonly: false,
  shared: false,
  takeOver: null,
  takeOverForce: true,
} as const;

function uuidOf(random: SeededRandom): VolumeId {
  const digits = random.bytes(16).toString('hex');
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}` as const;
}
