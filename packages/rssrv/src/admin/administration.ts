// The part of the server that people and clients command: its control socket, its pools, and the changes of their volumes. The listener
// serves the volumes and knows the sessions. Invariants: a request is executed with the rights of its asker, and a local program has all
// rights; changes are made one at a time, together with reloads; each change is logged with its asker.

import { randomUUID } from 'node:crypto';
import type { RssrvPaths } from '@rsio/common/config/root-paths';
import type { PoolConfig, RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { type ControlServer, type HandlersOf, startControlServer } from '@rsio/common/control/control-server';
import { CONTROL_VERSION } from '@rsio/common/control/method-table';
import { type ManagedVolumeView, SERVER_METHODS, type ServerMethods } from '@rsio/common/control/server-methods';
import type { Clock, Timer } from '@rsio/common/lib/clock';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import { printDuration, printSize } from '@rsio/common/lib/units';
import { programVersion } from '@rsio/common/lib/version';
import type { Log } from '@rsio/common/log/log';
import { allocateSpace } from '../pools/disk/allocate.ts';
import { type Asker, LOCAL_ASKER } from '../pools/asker.ts';
import {
  type Catalogue,
  type CreateRequest,
  type Found,
  poolNamed,
  type PoolState,
  type VolumeName,
  volumeText,
} from '../pools/catalogue.ts';
import type { Manifest } from '../pools/disk/manifest.ts';
import { PoolMemory } from '../pools/pool-memory.ts';
import { PoolVerbs } from '../pools/pool-verbs.ts';
import { volumeConfigOf, volumeConfigsOf } from '../pools/pool-volume.ts';
import { makePool } from '../pools/make-pool.ts';
import { POOL_CHANGE_MS } from '../pools/limits.ts';
import { answers, Pools, type PoolsChange } from '../pools/pools.ts';
import { parseSettings } from '../pools/settings.ts';
import { takeLocks } from '../volumes/file-locks.ts';
import type { VolumeFailure } from '../volumes/volume-failures.ts';
import { volumeKey } from '../volumes/volume-ids.ts';
import type { ChangeQueue } from './change-queue.ts';
import { POOL_MEASURE_MS, PURGE_INTERVAL_MS } from './limits.ts';
import { clientViews, poolView, removedView, type SessionStatus, usedBytesOf, type VolumeStatus, volumeView } from './server-views.ts';

export interface AdministrationPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly paths: RssrvPaths;
  readonly changes: ChangeQueue;
  /** The configuration in force, with the volumes of the pools. */
  config(): RssrvConfig;
  configuredMs(): number;
  sessions(): readonly SessionStatus[];
  statusOf(volume: ServerVolumeConfig): VolumeStatus;
  /** Throws E_HELD if this change of a volume is not possible while clients use it. Null: the volume does not exist. */
  check(was: ServerVolumeConfig | null, now: ServerVolumeConfig | null): void;
  /** Serves a volume as it is now, or stops serving it, and tells the clients. */
  apply(was: ServerVolumeConfig | null, now: ServerVolumeConfig | null): Promise<void>;
  /** Reads the configuration again and returns a text for each change. Throws if the file is refused. */
  reload(): Promise<readonly string[]>;
  /** Reads the configuration again as soon as the server is up. */
  reloadLater(): void;
}

export class Administration {
  private readonly ports: AdministrationPorts;
  private readonly pools: Pools;
  private readonly memory: PoolMemory;
  private readonly verbs: PoolVerbs;
  private readonly startedMs: number;
  private control: ControlServer | null = null;
  private measureTimer: Timer | null = null;
  private purgeTimer: Timer | null = null;

  constructor(ports: AdministrationPorts) {
    this.ports = ports;
    const { clock, log } = ports;
    this.startedMs = clock.wallMs();
    this.memory = new PoolMemory(ports.paths.poolsFile, clock, log);
    this.pools = new Pools({
      changed: () => this.memory.update(this.pools.states),
      clock,
      log,
      takeLocks,
      allocate: allocateSpace,
      answersAgain: (name) => void this.answersAgain(name).catch((thrown: unknown) => log.error(toRsError(thrown).message)),
    });
    this.verbs = new PoolVerbs({
      pools: this.pools,
      clock,
      log,
      newId: randomUUID,
      configured: () => this.sectionVolumes,
      check: (was, now) => ports.check(was, now),
      apply: (was, now) => ports.apply(was, now),
    });
  }

  /** Opens the pools of a configuration that is not yet in force. `volumes` of the result: all volumes, of the sections and the pools. */
  async prepare(config: { readonly pools: readonly PoolConfig[]; readonly volumes: readonly ServerVolumeConfig[] }): Promise<{
    readonly change: PoolsChange;
    readonly volumes: readonly ServerVolumeConfig[];
  }> {
    const change = await this.pools.prepare(config.pools);
    const sections = new Set(config.volumes.map(volumeKey));
    const taken = new Set(sections);
    const volumes = volumeConfigsOf(change.states).filter((volume) => {
      const key = volumeKey(volume);
      // Two pools may have volumes of one name after a pool was brought here from another server.
      if (taken.has(key))
        this.ports.log.error(
          `Volume ${key} of pool ${volume.pool?.name ?? ''} is not served: another volume has its name; rename one of them`,
        );
      const isFree = !taken.has(key);
      taken.add(key);
      return isFree;
    });
    return { change, volumes: [...config.volumes, ...volumes] };
  }

  /** Loads what the server remembers of its pools. Call it before `prepare`. */
  async load(): Promise<void> {
    await this.memory.load();
  }

  /** A text for each pool that cannot be used. */
  get troubles(): string[] {
    return this.pools.states.flatMap(({ name, trouble }) => (trouble === null ? [] : [`Pool ${name} cannot be used: ${trouble}`]));
  }

  /** The volumes of pools that cannot be used, each with its reason. */
  get failures(): VolumeFailure[] {
    return this.pools.states
      .filter(({ isOpen }) => !isOpen)
      .flatMap(({ name, path, trouble }) =>
        this.memory.volumesOf(path).map((volume) => {
          const reason = `pool ${name} cannot be used: ${trouble ?? 'it is not open'}`;
          return { ...volume, error: new RsError('E_VOLUME', `Volume ${volumeText(volume)}: ${reason}`, { pool: name }) };
        }),
      );
  }

  /** Opens the control socket. Throws E_ALREADY_RUNNING, E_SOCKET_PATH, E_RIGHTS or E_SYSTEM. */
  async start(): Promise<void> {
    const { paths, log } = this.ports;
    this.control = await startControlServer(paths.controlSocket, SERVER_METHODS, this.handlers(LOCAL_ASKER), log);
    this.measureLater();
    this.purgeLater();
  }

  /** Closes the control socket. No further change begins. */
  async stop(): Promise<void> {
    this.measureTimer?.cancel();
    this.purgeTimer?.cancel();
    await this.control?.close();
    await this.memory.close();
  }

  /** Releases the pools. Call it when their volumes have been released. */
  async close(): Promise<void> {
    await this.pools.close();
  }

  private async answersAgain(name: string): Promise<void> {
    const isOpen = this.pools.states.some((pool) => pool.name === name && pool.isOpen);
    if (isOpen) await this.ports.changes.runOwn(() => this.verbs.readAgain(name));
    else this.ports.reloadLater();
  }

  private get sectionVolumes(): readonly ServerVolumeConfig[] {
    return this.ports.config().volumes.filter(({ pool }) => pool === undefined);
  }

  private get catalogue(): Catalogue {
    return { pools: this.pools.states, configured: this.sectionVolumes };
  }

  private handlers(asker: Asker): HandlersOf<typeof SERVER_METHODS> {
    const { changes } = this.ports;
    const change = async (verb: string, work: () => Promise<Found>): Promise<{ volume: ManagedVolumeView }> => {
      const found = await changes.run(work);
      this.logChange(asker, verb, found);
      return { volume: await this.viewOf(found.pool, found.manifest) };
    };
    const handlers: HandlersOf<typeof SERVER_METHODS> = {
      daemon: () => ({
        program: 'rssrv',
        version: programVersion(),
        control: CONTROL_VERSION,
        methods: Object.keys(handlers),
        pid: process.pid,
        nodename: this.ports.config().server.name,
        startedMs: this.startedMs,
        configuredMs: this.ports.configuredMs(),
      }),
      // Not in the queue, because the file system at an arbitrary path may not answer.
      'pool-make': ({ path }) => this.makePool(path),
      'pool-check': ({ name }) => changes.run(() => this.checkPool(name)),
      'pool-list': async () => {
        await this.pools.measure();
        return { pools: this.pools.states.map(poolView) };
      },
      'volume-list': ({ pool }) => this.list(pool),
      'volume-show': async (name) => ({ volume: await this.show(name) }),
      'volume-create': ({ request, ...params }) => change('created', () => this.verbs.create(createRequest(params), asker, request)),
      'volume-grow': ({ name, universe, sizeBytes, request }) =>
        change('grown', () => this.verbs.grow({ name, universe }, sizeBytes, asker, request)),
      'volume-rename': ({ name, universe, newName, newUniverse, request }) =>
        change(`renamed from ${volumeText({ name, universe })}`, () =>
          this.verbs.rename({ name, universe }, { name: newName, universe: newUniverse }, asker, request),
        ),
      'volume-set': ({ name, universe, settings, request }) =>
        change('changed', () => this.verbs.set({ name, universe }, parseSettings(settings), asker, request)),
      'volume-remove': async ({ name, universe, request }) => {
        const found = await changes.run(() => this.verbs.remove({ name, universe }, asker, request));
        this.logChange(asker, 'removed', found);
        const pool = this.pools.states.find((one) => one.name === found.pool.name) ?? found.pool;
        const removed = pool.removed.get(found.manifest.id);
        if (removed === undefined) throw new RsError('E_INTERNAL', `Volume ${name} was removed, and is not among the removed volumes`);
        return { removed: removedView(pool, removed) };
      },
      'volume-restore': ({ name, universe, request }) => change('restored', () => this.verbs.restore({ name, universe }, asker, request)),
      'client-list': () => ({
        clients: clientViews(this.ports.config(), this.catalogue, this.ports.sessions(), this.heldByNode()),
      }),
      reload: async () => ({ applied: await this.ports.reload() }),
    };
    return handlers;
  }

  private async makePool(path: string): Promise<ServerMethods['pool-make']['result']> {
    const { clock } = this.ports;
    const made = makePool(path, clock.wallMs(), this.pools.states);
    if (await answers(clock, POOL_CHANGE_MS, () => made)) return made;
    throw new RsError('E_TIMEOUT', `${path} does not answer within ${printDuration(POOL_CHANGE_MS)}: check its file system`, { path });
  }

  private async checkPool(name: string): Promise<ServerMethods['pool-check']['result']> {
    poolNamed(this.catalogue, name);
    await this.pools.check(name);
    return { pool: poolView(poolNamed(this.catalogue, name)) };
  }

  private logChange(asker: Asker, verb: string, { pool, manifest }: Found): void {
    const text = `Volume ${volumeText(manifest)} of pool ${pool.name}, ${printSize(manifest.sizeBytes)}: ${verb}`;
    this.ports.log.info(`${text}, by ${asker.node === null ? 'an administrator on the server' : `client ${asker.node}`}`, {
      audit: true,
      volume: manifest.name,
    });
  }

  private async list(pool: string | null): Promise<ServerMethods['volume-list']['result']> {
    const states = pool === null ? this.pools.states : [poolNamed(this.catalogue, pool)];
    const entries = this.entries
      .filter(({ volume }) => pool === null || volume.pool?.name === pool)
      .toSorted((a, b) => byName(a.volume, b.volume));
    const used = await this.usedBytesOf(entries.map(({ volume }) => volume));
    return {
      volumes: entries.map(({ volume, manifest }, index) => volumeView(volume, manifest, this.statusOf(volume), used[index] ?? null)),
      removed: states
        .flatMap((state) => [...state.removed.values()].map((removed) => removedView(state, removed)))
        .toSorted((a, b) => byName(a, b) || b.removedMs - a.removedMs),
    };
  }

  /** All volumes of the sections and of the open pools. */
  private get entries(): { readonly volume: ServerVolumeConfig; readonly manifest: Manifest | null }[] {
    const sections = this.sectionVolumes.map((volume) => ({ volume, manifest: null }));
    const managed = this.pools.states.flatMap((pool) =>
      pool.isOpen ? [...pool.volumes.values()].map((manifest) => ({ volume: volumeConfigOf(pool, manifest), manifest })) : [],
    );
    return [...sections, ...managed];
  }

  private statusOf(volume: ServerVolumeConfig): VolumeStatus {
    return this.ports.statusOf(volume);
  }

  private async show({ name, universe }: VolumeName): Promise<ManagedVolumeView> {
    const entry = this.entries.find(({ volume }) => volume.name === name && volume.universe === universe);
    const text = volumeText({ name, universe });
    if (entry === undefined)
      throw new RsError('E_UNKNOWN_VOLUME', `No volume ${text} on this server: rsadm volume list shows them`, { volume: text });
    const [used = null] = await this.usedBytesOf([entry.volume]);
    return volumeView(entry.volume, entry.manifest, this.statusOf(entry.volume), used);
  }

  private async viewOf(pool: PoolState, manifest: Manifest): Promise<ManagedVolumeView> {
    const volume = volumeConfigOf(pool, manifest);
    const [used = null] = await this.usedBytesOf([volume]);
    return volumeView(volume, manifest, this.statusOf(volume), used);
  }

  /** The files of a pool whose file system is silent are not looked at, because each look would occupy a thread of this process. */
  private async usedBytesOf(volumes: readonly ServerVolumeConfig[]): Promise<readonly (number | null)[]> {
    await this.pools.measure();
    return usedBytesOf(volumes.map(({ pool, path }) => (pool !== undefined && this.pools.answers(pool.name) ? path : null)));
  }

  /** Node -> names of the volumes that it holds. */
  private heldByNode(): ReadonlyMap<string, readonly string[]> {
    const held = new Map<string, string[]>();
    for (const volume of this.ports.config().volumes) {
      for (const { node } of this.statusOf(volume).holders) held.set(node, [...(held.get(node) ?? []), volumeKey(volume)]);
    }
    return held;
  }

  private measureLater(): void {
    this.measureTimer = this.ports.clock.after(POOL_MEASURE_MS, () => {
      void this.pools.measure();
      this.measureLater();
    });
  }

  private purgeLater(): void {
    this.purgeTimer = this.ports.clock.after(PURGE_INTERVAL_MS, () => {
      void this.ports.changes.runOwn(() => this.verbs.purgeExpired()).catch(() => undefined);
      this.purgeLater();
    });
  }
}

function byName(a: VolumeName, b: VolumeName): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return a.universe - b.universe;
}

function createRequest(params: Omit<ServerMethods['volume-create']['params'], 'request'>): CreateRequest {
  const { blockSizeBytes } = params;
  if (blockSizeBytes !== 512 && blockSizeBytes !== 4096)
    throw new RsError('E_USAGE', `Wrong block size ${blockSizeBytes}: allowed is 512 or 4096`);
  return { ...params, blockSizeBytes };
}
