// The configuration in force, and how it changes as a whole: by a reload, or by a change of one volume of a pool. The listener serves the
// configuration in force; reload-plan.ts and volume-plan.ts decide what may change. Invariants: either every part of a change comes into
// force, or no part does; every client is notified of the new size and properties of its attached volumes. Rules: C1, C3.

import { withControlGroup } from '@rsio/common/config/control-group';
import { loadRssrvConfig } from '@rsio/common/config/load-config';
import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import type { PeerConfig, PoolConfig, RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { Administration } from '../admin/administration.ts';
import type { ReadSocketChange } from '../admin/read-socket.ts';
import type { VolumeStatus } from '../admin/server-views.ts';
import type { Bandwidth } from '../volumes/throttle/bandwidth.ts';
import type { Halts } from '../volumes/throttle/halts.ts';
import type { GrownVolume } from '../storage/io/served-volume.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import type { Revocations } from '../volumes/holds/revocations.ts';
import type { PoolsChange } from '../pools/pools.ts';
import { type ReloadPlan, reloadPlan } from './reload-plan.ts';
import type { LoadedConfig } from './reloader.ts';
import type { BridgedReads } from '../jobs/images/bridges.ts';
import type { VolumeChange } from '../volumes/volume-change.ts';
import { volumeKey } from '../volumes/volume-ids.ts';
import { hasOtherFiles, volumeChanges, type VolumePlan, type VolumeStanding } from '../volumes/volume-plan.ts';
import type { ServedSnapshots } from '../snapshots/reads/served-snapshots.ts';
import { fullPoolOf, type SpaceShortage } from '../volumes/space-shortage.ts';
import type { Volumes } from '../volumes/volumes.ts';
import type { WorkerPool } from './workers/worker-pool.ts';
import type { WorkerRights } from './workers/worker-rights.ts';
import type { Admissions } from './admissions.ts';
import { openFilesLimit, openFilesWarning } from './descriptor-limit.ts';
import { addressMissingText, type ListeningSockets } from './listening-sockets.ts';
import { plainRefused } from './offered-volumes.ts';

/** A new configuration that is not yet in force, with the pools that were opened for this configuration. */
export interface LoadedListenerConfig extends LoadedConfig {
  readonly pools: PoolsChange;
}

export interface ConfigInForcePorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly configFile: string;
  readonly sockets: ListeningSockets;
  readonly volumes: Volumes;
  readonly holds: Holds;
  readonly revocations: Pick<Revocations, 'isLeaving'>;
  readonly snapshots: Pick<ServedSnapshots, 'readersOf'>;
  readonly shortage: SpaceShortage;
  readonly bandwidth: Pick<Bandwidth, 'refresh'>;
  readonly halts: Pick<Halts, 'facts'>;
  readonly workers: Pick<WorkerPool, 'processes' | 'renewStandby'>;
  /** Chooses the rights of workers that start later. */
  readonly rights: Pick<WorkerRights, 'choose'>;
  /** `admissions` and `administration` are functions, because these objects are made after this ConfigInForce. */
  readonly admissions: () => Admissions;
  readonly administration: () => Administration;
  /**
   * Announces a new generation of the list to the clients that may attach one of the volumes in `seenBy`. If `seenBy` is null, announces
   * the generation to all clients.
   */
  listChanged(grown: readonly GrownVolume[], seenBy: readonly Pick<ServerVolumeConfig, 'clients'>[] | null): void;
  /** Returns the figures of the READs of a volume that images have answered; null if images have answered none. */
  bridged(volumeId: string): BridgedReads | null;
  startIncarnation(volumeId: string): Promise<void>;
  /** Watches the shared pools of the configuration. */
  sharedPools(configs: readonly PoolConfig[]): void;
  /** Connects to the peers of the configuration. */
  peers(configs: readonly PeerConfig[]): void;
  /** Answers discovery datagrams according to the configuration. */
  explore(config: RssrvConfig): Promise<void>;
}

export class ConfigInForce {
  private readonly ports: ConfigInForcePorts;
  private current: RssrvConfig;
  /** Wall-clock time at which the configuration came into force. */
  private sinceMs: number;

  /** `config` is the configuration without the volumes of the pools. `openPools` adds these volumes. */
  constructor(config: RssrvConfig, ports: ConfigInForcePorts) {
    this.current = config;
    this.ports = ports;
    this.sinceMs = ports.clock.wallMs();
    ports.shortage.poolNameOf = (id, poolId) => fullPoolOf(this.current.volumes, id, poolId, ports.administration().shortPools);
  }

  /** The configuration in force. A change replaces the whole configuration. */
  get config(): RssrvConfig {
    return this.current;
  }

  get configuredMs(): number {
    return this.sinceMs;
  }

  /** Opens the pools at the start, before any volume is opened. */
  async openPools(): Promise<void> {
    const { change, volumes } = await this.ports.administration().prepare(this.current, false);
    await change.commit();
    this.current = { ...this.current, volumes };
  }

  /**
   * Opens the shared pools that this server has come to own, and serves their volumes. The file is not read, because an administrator may
   * be editing it. Throws E_CONFIG or E_HELD if the volumes cannot be served.
   */
  async openSharedPools(): Promise<void> {
    const sections = { ...this.current, volumes: this.current.volumes.filter(({ pool }) => pool === undefined) };
    const { change, volumes } = await this.ports.administration().prepare(sections, false);
    const config = { ...sections, volumes };
    try {
      const plan = reloadPlan(this.current, config, (volume) => this.standingOf(volume));
      if (plan.kind === 'refuse') throw new RsError('E_CONFIG', plan.sentences.join('; '), { problems: plan.sentences });
      await this.apply(plan, { config, pools: change, discard: () => change.undo() });
    } catch (thrown) {
      await change.undo();
      throw thrown;
    }
  }

  /** Stops serving the volumes of this pool, even if clients hold them. The handles of the volumes must already be closed. */
  async removePool(name: string): Promise<void> {
    const leaving = this.current.volumes.filter(({ pool }) => pool?.name === name);
    const volumes = this.current.volumes.filter((volume) => !leaving.includes(volume));
    const change = await this.ports.volumes.prepare({ added: [], retried: [], kept: [], removed: leaving, isPartial: true }, volumes);
    change.commit();
    for (const { id } of leaving) this.ports.volumes.replaced(id ?? '');
    this.current = { ...this.current, volumes };
    this.ports.bandwidth.refresh();
    this.ports.listChanged([], leaving);
    await this.afterReload('closing the volumes of a pool', () => change.finish());
  }

  /**
   * Applies the whole plan or nothing. Nothing is applied if a new interface or volume cannot be opened, or if a client has begun to use a
   * volume that the plan would remove or change.
   */
  async apply(plan: ReloadPlan, { config: next, pools }: LoadedListenerConfig): Promise<void> {
    const missing = await this.ports.sockets.open(next.interfaces);
    let change: VolumeChange;
    let readers: ReadSocketChange | null = null;
    try {
      readers = await this.ports.administration().readSocket.prepare(next.server.controlGroup);
      change = await this.ports.volumes.prepare(plan.volumes, next.volumes);
    } catch (error) {
      this.ports.sockets.keep(this.current.interfaces);
      await readers?.undo();
      throw error;
    }
    const { refusals } = volumeChanges(this.current.volumes, next.volumes, (volume) => this.standingOf(volume));
    if (refusals.length > 0) {
      this.ports.sockets.keep(this.current.interfaces);
      await change.undo();
      await readers.undo();
      throw new RsError('E_HELD', refusals.join('; '));
    }
    const { grown, isListChanged } = change;
    // The code from here to the last message to the sessions runs in a single event-loop turn. Every client that has a volume therefore
    // gets the new size and generation with the grant, or is notified of the new values.
    pools.enter();
    change.commit();
    const filesWarning = openFilesWarning(next, openFilesLimit());
    if (filesWarning !== null && filesWarning !== openFilesWarning(this.current, openFilesLimit())) this.ports.log.warn(filesWarning);
    this.current = next;
    this.ports.bandwidth.refresh();
    this.sinceMs = this.ports.clock.wallMs();
    this.ports.workers.processes = next.server.processes;
    if (this.ports.rights.choose(next.server)) this.ports.workers.renewStandby();
    this.ports.sockets.keep(next.interfaces);
    const { name } = next.server;
    for (const node of plan.removedClients)
      this.ports.admissions().dismiss(node, `Node ${node} was removed from the clients of server ${name}`);
    for (const { client, keys } of plan.droppedKeys)
      this.ports.admissions().dismissKeys(client, keys, `The key of node ${client} at server ${name} has changed: use the new one`);
    if (plan.endsPlainPaths) this.ports.admissions().endPlainPaths(plainRefused(name));
    this.ports.holds.keepNodes(next.clients.map(({ name }) => name));
    if (plan.isListChanged || isListChanged) this.ports.listChanged(grown, null);
    for (const id of change.cut) void this.ports.startIncarnation(id);
    for (const problem of missing) this.ports.log.warn(addressMissingText(problem));
    await this.afterReload('the control socket of the group', () => readers.commit());
    await this.afterReload('the listener for metrics', () => this.ports.administration().metrics.follow(next));
    await this.afterReload('closing what was removed', () => change.finish());
    await this.afterReload('closing pools', () => pools.commit());
    this.ports.sharedPools(next.pools);
    this.ports.peers(next.peers);
    await this.afterReload('exploration', () => this.ports.explore(next));
  }

  /**
   * Throws if the server could not listen on the interfaces of this configuration. Opens no volume, because a volume may be created or
   * extended when it is opened.
   */
  async examine({ config: next }: LoadedListenerConfig): Promise<void> {
    await this.ports.sockets.examine(next.interfaces);
  }

  /** Logs a failure of `work`. The new configuration is already in force, so the failure must not be reported as a refusal. */
  private async afterReload(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      const { message, code } = toRsError(thrown);
      this.ports.log.error(`Reload: applied, but ${what} failed: ${message} [${code}]`);
    }
  }

  /** Returns the status of a configured volume: its size, and the clients that hold it or have it open. */
  standingOf(volume: ServerVolumeConfig): VolumeStanding {
    const { id, sizeBytes } = this.ports.volumes.standing(volume);
    if (id === null) return { sizeBytes, users: [] };
    const { revocations } = this.ports;
    const users = this.ports.holds.holdersOf(id);
    const named = new Set(users.map(({ node }) => node));
    for (const { client, uses } of this.ports.admissions().sessions) {
      const { node, address } = client;
      // An OPEN of a client that loses the volume is refused after the change.
      const isUser = uses.isGranted(id) || (uses.has(id) && !revocations.isLeaving(id, node));
      if (isUser && !named.has(node)) users.push({ node, address, sinceMs: this.ports.clock.wallMs() });
    }
    const isLeaving = (node: string): boolean => revocations.isLeaving(id, node);
    return { sizeBytes, users, readers: volume.pool === undefined ? [] : this.ports.snapshots.readersOf(volume, isLeaving) };
  }

  /** Returns the status of a volume for a list. */
  statusOf(volume: ServerVolumeConfig): VolumeStatus {
    const { id, sizeBytes: openBytes, cut } = this.ports.volumes.standing(volume);
    const sizeBytes = cut === null ? openBytes : null;
    const reason = openBytes === null ? this.failureOf(volume) : cut;
    const holders = id === null ? [] : this.ports.holds.holdersOf(id);
    const { shortage } = this.ports;
    const waiting = id === null ? {} : { fullPool: shortage.poolOf(id), bridged: this.ports.bridged(id), halt: this.ports.halts.facts(id) };
    return { id, sizeBytes, reason, holders, waitsForSpace: id !== null && shortage.has(id), ...waiting };
  }

  private failureOf(volume: ServerVolumeConfig): string | null {
    const known = this.current.volumes.find((one) => volumeKey(one) === volumeKey(volume));
    if (known !== undefined && volume.pool !== undefined && known.id !== volume.id)
      return 'Another volume has its name: rename one of them';
    return this.ports.volumes.failures.find((one) => volumeKey(one) === volumeKey(volume))?.error.message ?? null;
  }

  /** Reads the configuration file again, and opens the pools. `text`, if given, replaces the content of the file. */
  async load(text?: string): Promise<LoadedListenerConfig> {
    const { configFile } = this.ports;
    const config = withControlGroup(text === undefined ? loadRssrvConfig(configFile) : parseRssrvConfig(text, configFile));
    const { change, volumes } = await this.ports.administration().prepare(config, text !== undefined);
    return { config: { ...config, volumes }, pools: change, discard: () => change.undo() };
  }

  /**
   * Throws E_HELD if clients that use a volume of a pool prevent this change of the volume. The error names the clients. Throws E_EXISTS if
   * another volume has the name of `now`. `was` is null for a volume that is being created, and `now` is null for a volume that is being
   * removed.
   */
  checkChange(was: ServerVolumeConfig | null, now: ServerVolumeConfig | null): VolumePlan {
    const before = this.inForce(was ?? now);
    const other = now === null ? undefined : this.current.volumes.find((one) => one !== before && volumeKey(one) === volumeKey(now));
    if (other !== undefined)
      throw new RsError('E_EXISTS', `Another volume ${other.name} is configured: rename one of them`, { volume: other.name });
    const { plan, refusals, isPassing } = volumeChanges(listOf(before ?? was), listOf(now), (volume) => this.standingOf(volume));
    if (refusals.length > 0) throw new RsError('E_HELD', refusals.join('; '), { volume: (was ?? now)?.name, isPassing });
    return plan;
  }

  /** Serves a volume of a pool in its state `now`, or stops serving the volume if `now` is null, and notifies the clients. */
  async applyVolume(was: ServerVolumeConfig | null, now: ServerVolumeConfig | null): Promise<void> {
    const { added, retried, ...plan } = this.checkChange(was, now);
    const before = this.inForce(was ?? now);
    const { volumes } = this.current;
    const next = before === null ? [...volumes, ...listOf(now)] : volumes.toSpliced(volumes.indexOf(before), 1, ...listOf(now));
    // The change is already made on disk, so a volume that cannot be opened does not undo the change. The volume then counts as failed, and
    // lists show the reason.
    const change = await this.ports.volumes.prepare({ ...plan, added: [], retried: [...added, ...retried], isPartial: true }, next);
    try {
      this.checkChange(was, now);
    } catch (error) {
      await change.undo();
      throw error;
    }
    const { grown, isListChanged } = change;
    change.commit();
    this.current = { ...this.current, volumes: next };
    this.ports.bandwidth.refresh();
    if (isListChanged) this.ports.listChanged(grown, [...listOf(before), ...listOf(now)]);
    for (const id of change.cut) void this.ports.startIncarnation(id);
    // The new file may lack the last writes. Because of the new incarnation, the holder sends the last writes again.
    const id = now?.id ?? null;
    if (before !== null && now !== null && id !== null && hasOtherFiles(before, now)) void this.ports.startIncarnation(id);
    await this.afterReload('closing what was removed', () => change.finish());
  }

  /**
   * Serves a volume from another file, even while clients hold the volume. The caller guarantees that the new file durably has the same
   * content, and that no worker has the old file open. The manifest on disk already names the new file. If the file cannot be opened, the
   * volume counts as failed.
   */
  async replaceVolume(was: ServerVolumeConfig, now: ServerVolumeConfig): Promise<void> {
    const before = this.inForce(was);
    if (before === null) return;
    const { volumes } = this.current;
    const next = volumes.toSpliced(volumes.indexOf(before), 1, now);
    const change = await this.ports.volumes.prepare({ added: [], retried: [now], kept: [], removed: [before], isPartial: true }, next);
    change.commit();
    this.ports.volumes.replaced(now.id ?? '');
    this.current = { ...this.current, volumes: next };
    this.ports.bandwidth.refresh();
    this.ports.listChanged(change.grown, [before, now]);
    await this.afterReload('closing what was replaced', () => change.finish());
  }

  /** Returns the configuration in force of the pool volume with this id; null if no pool volume has the id. */
  inForceById(id: string): ServerVolumeConfig | null {
    return this.current.volumes.find((volume) => volume.pool !== undefined && volume.id === id) ?? null;
  }

  /** Tries again to open volumes that could not be opened, and notifies the clients. Logs a volume that fails again. */
  async openAgain(keys: ReadonlySet<string>): Promise<void> {
    const isLost = (volume: ServerVolumeConfig): boolean =>
      keys.has(volumeKey(volume)) && this.ports.volumes.standing(volume).sizeBytes === null;
    const volumes = this.current.volumes.filter(isLost);
    try {
      const plan: VolumePlan = { added: [], retried: volumes, kept: [], removed: [], isPartial: true };
      const change = await this.ports.volumes.prepare(plan, this.current.volumes);
      change.commit();
      this.ports.bandwidth.refresh();
      if (change.isListChanged) this.ports.listChanged([], volumes);
    } catch (thrown) {
      this.ports.log.error(`Volumes could not be opened again: ${toRsError(thrown).message}`);
    }
  }

  /**
   * Returns the configuration in force of a volume of a pool; null if the configuration in force lacks the volume. After a failed change,
   * this configuration may differ from the manifest.
   */
  private inForce(volume: ServerVolumeConfig | null): ServerVolumeConfig | null {
    return volume?.id === null || volume === null ? null : this.inForceById(volume.id);
  }
}

function listOf<T>(one: T | null): T[] {
  return one === null ? [] : [one];
}
