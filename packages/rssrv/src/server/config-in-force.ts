// The configuration in force, and how it changes as a whole: by a reload, or by a change of one volume of a pool. The listener serves the
// configuration in force; reload-plan.ts and volume-plan.ts decide what may change. Invariants: either every part of a change comes into
// force, or no part does; every client is notified of the new size and properties of its attached volumes. Rules: C1, C3.

import { withControlGroup } from '@rsio/common/config/control-group';
import { limitsOrNull } from '@rsio/common/config/schema/io-limits';
import { loadRssrvConfig } from '@rsio/common/config/load-config';
import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import type { LocalGroups, RssrvConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { assert } from '@rsio/base/lib/assert';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { GroupSocketChange } from '../admin/group-socket.ts';
import type { VolumeStatus } from '../admin/server-views.ts';
import type { Bandwidth } from '../volumes/throttle/bandwidth.ts';
import type { Halts } from '../volumes/throttle/halts.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import type { Revocations } from '../volumes/holds/revocations.ts';
import type { Farms } from '../farm/farms.ts';
import { volumeConfigsOf } from '../pools/pool-volume.ts';
import type { Pools, PoolsChange } from '../pools/pools.ts';
import type { Peers } from '../replication/peers/peers.ts';
import { type ReloadPlan, reloadPlan, viewRefusals } from './reload-plan.ts';
import type { LoadedConfig } from './reloader.ts';
import type { Bridges } from '../jobs/images/bridges.ts';
import type { VolumeChange } from '../volumes/volume-change.ts';
import { volumeKey } from '../volumes/volume-ids.ts';
import { hasOtherFiles, volumeChanges, type VolumePlan, type VolumeStanding } from '../volumes/volume-plan.ts';
import type { ServedSnapshots } from '../snapshots/reads/served-snapshots.ts';
import type { SpaceShortage } from '../volumes/space-shortage.ts';
import type { Volumes } from '../volumes/volumes.ts';
import type { WorkerPool } from './workers/worker-pool.ts';
import type { WorkerRights } from './workers/worker-rights.ts';
import type { Admissions } from './admissions.ts';
import type { ByNode } from './by-node.ts';
import type { CurrentConfig } from './current-config.ts';
import { openFilesLimit, openFilesWarning } from './descriptor-limit.ts';
import type { Incarnations } from './incarnations.ts';
import { addressMissingText, type ListeningSockets } from './listening-sockets.ts';
import { plainRefused } from './offered-volumes.ts';
import type { ServedSession } from './served-session.ts';
import type { ListAnnouncements } from './workers/list-announcements.ts';

/** A new configuration that is not yet in force, with the pools that were opened for this configuration. */
export interface LoadedListenerConfig extends LoadedConfig {
  readonly pools: PoolsChange;
}

/** The objects of the server that a change of the configuration reaches. */
export interface ConfigInForceParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly current: CurrentConfig;
  readonly configFile: string;
  readonly sockets: Pick<ListeningSockets, 'examine' | 'keep' | 'open'>;
  readonly pools: Pick<Pools, 'prepare'>;
  readonly volumes: Pick<Volumes, 'failures' | 'prepare' | 'replaced' | 'standing'>;
  readonly holds: Pick<Holds, 'holdersOf' | 'keepNodes'>;
  readonly revocations: Pick<Revocations, 'isLeaving'>;
  readonly snapshots: Pick<ServedSnapshots, 'readersOf'>;
  readonly shortage: Pick<SpaceShortage, 'has' | 'poolOf'>;
  readonly bandwidth: Pick<Bandwidth, 'refresh'>;
  readonly halts: Pick<Halts, 'facts'>;
  readonly bridges: Pick<Bridges, 'of'>;
  readonly workers: Pick<WorkerPool, 'processes' | 'renewStandby'>;
  /** Chooses the rights of workers that start later. */
  readonly rights: Pick<WorkerRights, 'choose'>;
  readonly sessions: Pick<ByNode<Pick<ServedSession, 'client' | 'uses'>>, 'all'>;
  readonly admissions: Pick<Admissions, 'dismiss' | 'dismissKeys' | 'endPlainPaths'>;
  readonly lists: Pick<ListAnnouncements, 'changed'>;
  readonly incarnations: Pick<Incarnations, 'start'>;
  readonly farms: Pick<Farms, 'follow'>;
  readonly peers: Pick<Peers, 'follow'>;
  /** Prepares the control socket of the readers for a group, or for none. */
  prepareGroups(groups: LocalGroups): Promise<GroupSocketChange>;
  /** Serves the metrics where the configuration says. */
  followMetrics(config: RssrvConfig): Promise<void>;
  /** Answers discovery datagrams according to the configuration. */
  explore(config: RssrvConfig): Promise<void>;
}

export class ConfigInForce {
  private readonly parts: ConfigInForceParts;

  constructor(parts: ConfigInForceParts) {
    this.parts = parts;
  }

  private get current(): RssrvConfig {
    return this.parts.current.config;
  }

  /** Opens the pools at the start, before any volume is opened. */
  async openPools(): Promise<void> {
    const { change, volumes } = await this.prepare(this.current, false);
    await change.commit();
    this.parts.current.replaceVolumes(volumes);
  }

  /**
   * Opens the shared pools that this server has come to own, and serves their volumes. The file is not read, because an administrator may
   * be editing it. Throws E_CONFIG or E_HELD if the volumes cannot be served.
   */
  async openSharedPools(): Promise<void> {
    const sections = { ...this.current, volumes: this.current.volumes.filter(({ pool }) => pool === undefined) };
    const { change, volumes } = await this.prepare(sections, false);
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
    const change = await this.parts.volumes.prepare({ added: [], retried: [], kept: [], removed: leaving, isPartial: true }, volumes);
    change.commit();
    for (const { id } of leaving) this.parts.volumes.replaced(id ?? '');
    this.parts.current.replaceVolumes(volumes);
    this.parts.bandwidth.refresh();
    this.parts.lists.changed([], leaving);
    await this.afterReload('closing the volumes of a pool', () => change.finish());
  }

  /** Says why the configuration must not come into force: a client has begun to use a volume that it would remove, change or take away. */
  private refusalsOf(next: RssrvConfig): string[] {
    const standingOf = (volume: ServerVolumeConfig): VolumeStanding => this.standingOf(volume);
    const { refusals: lost } = volumeChanges(this.current.volumes, next.volumes, standingOf);
    return [...viewRefusals(this.current, next, standingOf), ...lost];
  }

  /**
   * Applies the whole plan or nothing. Nothing is applied if a new interface or volume cannot be opened, or if a client has begun to use a
   * volume that the plan would remove or change.
   */
  async apply(plan: ReloadPlan, { config: next, pools }: LoadedListenerConfig): Promise<void> {
    const missing = await this.parts.sockets.open(next.interfaces);
    let change: VolumeChange | null = null;
    let groups: GroupSocketChange | null = null;
    try {
      change = await this.parts.volumes.prepare(plan.volumes, next.volumes);
      // The members of a new group may give orders from the next step on, so it is the last one that can be refused for long.
      if (this.refusalsOf(next).length === 0) groups = await this.parts.prepareGroups(next.server.groups);
    } catch (error) {
      this.parts.sockets.keep(this.current.interfaces);
      await change?.undo();
      throw error;
    }
    const refusals = this.refusalsOf(next);
    if (groups === null || refusals.length > 0) {
      this.parts.sockets.keep(this.current.interfaces);
      await change.undo();
      await groups?.undo();
      throw new RsError('E_HELD', refusals.join('; ') || 'Clients have begun to use volumes that the file changes: try again');
    }
    const { grown, isListChanged } = change;
    // The code from here to the last message to the sessions runs in a single event-loop turn. Every client that has a volume therefore
    // gets the new size and generation with the grant, or is notified of the new values.
    pools.enter();
    change.commit();
    const filesWarning = openFilesWarning(next, openFilesLimit());
    if (filesWarning !== null && filesWarning !== openFilesWarning(this.current, openFilesLimit())) this.parts.log.warn(filesWarning);
    this.parts.current.begin(next);
    this.parts.bandwidth.refresh();
    this.parts.workers.processes = next.server.processes;
    if (this.parts.rights.choose(next.server)) this.parts.workers.renewStandby();
    this.parts.sockets.keep(next.interfaces);
    const { name } = next.server;
    for (const node of plan.removedClients)
      this.parts.admissions.dismiss(node, `Node ${node} was removed from the clients of server ${name}`);
    for (const { client, keys } of plan.droppedKeys)
      this.parts.admissions.dismissKeys(client, keys, `The key of node ${client} at server ${name} has changed: use the new one`);
    if (plan.endsPlainPaths) this.parts.admissions.endPlainPaths(plainRefused(name));
    this.parts.holds.keepNodes(next.clients.map(({ name }) => name));
    if (plan.isListChanged || isListChanged) this.parts.lists.changed(grown, null);
    for (const id of change.cut) void this.parts.incarnations.start(id);
    for (const problem of missing) this.parts.log.warn(addressMissingText(problem));
    await this.afterReload('the control sockets of the groups', async () => groups?.commit());
    await this.afterReload('the listener for metrics', () => this.parts.followMetrics(next));
    await this.afterReload('closing what was removed', () => change.finish());
    await this.afterReload('closing pools', () => pools.commit());
    this.parts.farms.follow(next.pools);
    this.parts.peers.follow(next.peers);
    await this.afterReload('exploration', () => this.parts.explore(next));
  }

  /**
   * Throws if the server could not listen on the interfaces of this configuration. Opens no volume, because a volume may be created or
   * extended when it is opened.
   */
  async examine({ config: next }: LoadedListenerConfig): Promise<void> {
    await this.parts.sockets.examine(next.interfaces);
  }

  /** Logs a failure of `work`. The new configuration is already in force, so the failure must not be reported as a refusal. */
  private async afterReload(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      const { message, code } = toRsError(thrown);
      this.parts.log.error(`Reload: applied, but ${what} failed: ${message} [${code}]`);
    }
  }

  /** Returns the status of a configured volume: its size, and the clients that hold it or have it open. */
  standingOf(volume: ServerVolumeConfig): VolumeStanding {
    const { id, sizeBytes } = this.parts.volumes.standing(volume);
    if (id === null) return { sizeBytes, users: [] };
    const { revocations } = this.parts;
    const users = this.parts.holds.holdersOf(id);
    const named = new Set(users.map(({ node }) => node));
    for (const { client, uses } of this.parts.sessions.all) {
      const { node, address } = client;
      // An OPEN of a client that loses the volume is refused after the change.
      const isUser = uses.isGranted(id) || (uses.has(id) && !revocations.isLeaving(id, node));
      if (isUser && !named.has(node)) users.push({ node, address, sinceMs: this.parts.clock.wallMs() });
    }
    const isLeaving = (node: string): boolean => revocations.isLeaving(id, node);
    return { sizeBytes, users, readers: volume.pool === undefined ? [] : this.parts.snapshots.readersOf(volume, isLeaving) };
  }

  /** Returns the status of a volume for a list. */
  statusOf(volume: ServerVolumeConfig): VolumeStatus {
    const { id, sizeBytes: openBytes, cut } = this.parts.volumes.standing(volume);
    const sizeBytes = cut === null ? openBytes : null;
    const reason = openBytes === null ? this.failureOf(volume) : cut;
    const holders = id === null ? [] : this.parts.holds.holdersOf(id);
    const { shortage } = this.parts;
    const waiting =
      id === null ? {} : { fullPool: shortage.poolOf(id), bridged: this.parts.bridges.of(id), halt: this.parts.halts.facts(id) };
    return { id, sizeBytes, reason, holders, waitsForSpace: id !== null && shortage.has(id), ...waiting };
  }

  private failureOf(volume: ServerVolumeConfig): string | null {
    const known = this.parts.current.volumeWithKey(volumeKey(volume));
    if (known !== null && volume.pool !== undefined && known.id !== volume.id) return 'Another volume has its name: rename one of them';
    return this.parts.volumes.failures.find((one) => volumeKey(one) === volumeKey(volume))?.error.message ?? null;
  }

  /** Reads the configuration file again, and opens the pools. `text`, if given, replaces the content of the file. */
  async load(text?: string): Promise<LoadedListenerConfig> {
    const { configFile } = this.parts;
    const config = withControlGroup(text === undefined ? loadRssrvConfig(configFile) : parseRssrvConfig(text, configFile));
    const { change, volumes } = await this.prepare(config, text !== undefined);
    return { config: { ...config, volumes }, pools: change, discard: () => change.undo() };
  }

  /**
   * Opens the pools of a configuration that is not yet in force. The `volumes` of the result are all volumes, from the sections and from
   * the pools. `isChecked`: the configuration is only checked, so that the server does not become the owner of new pools.
   */
  private async prepare(
    config: Pick<RssrvConfig, 'pools' | 'volumes'>,
    isChecked: boolean,
  ): Promise<{ readonly change: PoolsChange; readonly volumes: readonly ServerVolumeConfig[] }> {
    const change = await this.parts.pools.prepare(config.pools);
    if (!isChecked) await change.own();
    const taken = new Set(config.volumes.map(volumeKey));
    const volumes = volumeConfigsOf(change.states).filter((volume) => {
      const key = volumeKey(volume);
      // Two pools may have volumes with the same name if an administrator has brought a pool from another server.
      if (taken.has(key))
        this.parts.log.error(
          `Volume ${key} of pool ${volume.pool?.name ?? ''} is not served: another volume has its name; rename one of them`,
        );
      const isFree = !taken.has(key);
      taken.add(key);
      return isFree;
    });
    return { change, volumes: [...config.volumes, ...volumes] };
  }

  /**
   * Throws E_HELD if clients that use a volume of a pool prevent this change of the volume. The error names the clients. Throws E_EXISTS if
   * another volume has the name of `now`. `was` is null for a volume that is being created, and `now` is null for a volume that is being
   * removed.
   */
  checkChange(was: ServerVolumeConfig | null, now: ServerVolumeConfig | null): VolumePlan {
    const before = this.inForce(was ?? now);
    const other = now === null ? null : this.parts.current.volumeWithKey(volumeKey(now), before);
    if (other !== null)
      throw new RsError('E_EXISTS', `Another volume ${other.name} is configured: rename one of them`, { volume: other.name });
    const { plan, refusals, isPassing } = volumeChanges(listOf(before ?? was), listOf(now), (volume) => this.standingOf(volume));
    if (refusals.length > 0) throw new RsError('E_HELD', refusals.join('; '), { volume: (was ?? now)?.name, isPassing });
    return plan;
  }

  /** Serves a volume of a pool in its state `now`, or stops serving the volume if `now` is null, and notifies the clients. */
  async applyVolume(was: ServerVolumeConfig | null, now: ServerVolumeConfig | null): Promise<void> {
    const { added, retried, ...plan } = this.checkChange(was, now);
    const before = this.inForce(was ?? now);
    const { volumes: from } = this.current;
    const next = before === null ? from.concat(listOf(now)) : withInstead(from, before, listOf(now));
    // The change is already made on disk, so a volume that cannot be opened does not undo the change. The volume then counts as failed, and
    // lists show the reason.
    const change = await this.parts.volumes.prepare({ ...plan, added: [], retried: [...added, ...retried], isPartial: true }, next);
    try {
      this.checkChange(was, now);
    } catch (error) {
      await change.undo();
      throw error;
    }
    const { grown, isListChanged } = change;
    change.commit();
    this.parts.current.replaceVolumes(next, { from, before, now });
    // The limits of all other volumes stay.
    if ([before, now].some((one) => limitsOrNull(one?.limits) !== null)) this.parts.bandwidth.refresh();
    if (isListChanged) this.parts.lists.changed(grown, [...listOf(before), ...listOf(now)]);
    for (const id of change.cut) void this.parts.incarnations.start(id);
    // The new file may lack the last writes. Because of the new incarnation, the holder sends the last writes again.
    const id = now?.id ?? null;
    if (before !== null && now !== null && id !== null && hasOtherFiles(before, now)) void this.parts.incarnations.start(id);
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
    const { volumes: from } = this.current;
    const next = withInstead(from, before, [now]);
    const change = await this.parts.volumes.prepare({ added: [], retried: [now], kept: [], removed: [before], isPartial: true }, next);
    change.commit();
    this.parts.volumes.replaced(now.id ?? '');
    this.parts.current.replaceVolumes(next, { from, before, now });
    this.parts.bandwidth.refresh();
    this.parts.lists.changed(change.grown, [before, now]);
    await this.afterReload('closing what was replaced', () => change.finish());
  }

  /** Returns the configuration in force of the pool volume with this id; null if no pool volume has the id. */
  inForceById(id: string): ServerVolumeConfig | null {
    return this.parts.current.poolVolume(id);
  }

  /** Tries again to open volumes that could not be opened, and notifies the clients. Logs a volume that fails again. */
  async openAgain(keys: ReadonlySet<string>): Promise<void> {
    const isLost = (volume: ServerVolumeConfig): boolean =>
      keys.has(volumeKey(volume)) && this.parts.volumes.standing(volume).sizeBytes === null;
    const volumes = this.current.volumes.filter(isLost);
    try {
      const plan: VolumePlan = { added: [], retried: volumes, kept: [], removed: [], isPartial: true };
      const change = await this.parts.volumes.prepare(plan, this.current.volumes);
      change.commit();
      this.parts.bandwidth.refresh();
      if (change.isListChanged) this.parts.lists.changed([], volumes);
    } catch (thrown) {
      this.parts.log.error(`Volumes could not be opened again: ${toRsError(thrown).message}`);
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

/** Returns the list with `now` in place of `before`. A volume that is not in the list would cost another one its place. */
function withInstead(
  from: readonly ServerVolumeConfig[],
  before: ServerVolumeConfig,
  now: readonly ServerVolumeConfig[],
): readonly ServerVolumeConfig[] {
  const index = from.indexOf(before);
  assert(index >= 0, 'The volume that changes is not in force');
  return from.toSpliced(index, 1, ...now);
}

function listOf<T>(one: T | null): T[] {
  return one === null ? [] : [one];
}
