// Executes the methods about volumes. PoolVerbs makes the changes. Invariants: changes and reloads are made one at a time; each change is
// logged with its asker.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { ServerMethods } from '@rsio/common/control/server/server-methods';
import type { ManagedVolumeView } from '@rsio/common/control/server/views';
import type { IMAGE_METHODS, SNAPSHOT_METHODS } from '@rsio/common/control/server/snapshot-methods';
import type { VOLUME_METHODS } from '@rsio/common/control/server/volume-methods';
import { RsError } from '@rsio/common/lib/errors';
import { printSize } from '@rsio/common/lib/units';
import type { Log } from '@rsio/common/log/log';
import { eventOf } from '../events/event-log.ts';
import type { ImageVerbs } from '../jobs/images/image-verbs.ts';
import type { ImageJobs } from '../jobs/orders/image-jobs.ts';
import type { ReplicaStore } from '../mirrors/replica-verbs.ts';
import type { Asker } from '../pools/asker.ts';
import { type CreateRequest, type Found, type VolumeName, volumeText } from '../pools/catalogue.ts';
import type { PoolVerbs } from '../pools/pool-verbs.ts';
import { volumeConfigOf } from '../pools/pool-volume.ts';
import { parseLimits, parseSettings } from '../pools/settings.ts';
import type { SnapshotAnswers } from '../snapshots/reads/snapshot-answers.ts';
import { findReadable, snapshotText } from '../snapshots/snapshot-rules.ts';
import type { SnapshotVerbs } from '../snapshots/snapshot-verbs.ts';
import type { Triggers } from '@rsio/common/triggers/triggers';
import type { Changes } from '../pools/requests/requests.ts';
import type { Turn } from '../pools/requests/turn.ts';
import { replicaSnapshotOrders } from '../mirrors/replica-snapshot-orders.ts';
import { volumeKey } from '../volumes/volume-ids.ts';
import type { Voters } from '../mirrors/voters.ts';
import type { Inventory } from './inventory.ts';
import { removedView } from './server-views.ts';

export interface VolumeOrdersPorts {
  readonly log: Pick<Log, 'info'>;
  readonly changes: Changes;
  readonly inventory: Inventory;
  readonly verbs: PoolVerbs;
  /** Called when the schedule of a volume's snapshots may have changed. */
  readonly scheduleChanged: () => void;
}

export function volumeOrders(
  { log, changes, inventory, verbs, scheduleChanged }: VolumeOrdersPorts,
  asker: Asker,
): HandlersOf<typeof VOLUME_METHODS> {
  const change = async (verb: string, volume: VolumeName, work: () => Promise<Found>): Promise<{ volume: ManagedVolumeView }> => {
    const found = await changes.run(work, changeText(asker, verb, volume));
    logChange(log, asker, verb, found);
    return { volume: await inventory.viewOf(found.pool, found.manifest) };
  };
  return {
    // `inventory.list` refuses an unknown pool with the names of all pools, which only an administrator may know.
    'volume-list': async ({ pool }) => (asker.role === 'admin' ? inventory.list(pool) : ofPool(await inventory.list(null), pool)),
    'volume-show': (name) => inventory.show(name),
    'volume-create': ({ request, ...params }) => change('created', params, () => verbs.create(createRequest(params), asker, request)),
    'volume-grow': ({ name, universe, sizeBytes, pool, mirror, request }) =>
      change('grown', { name, universe }, () => verbs.grow({ name, universe }, sizeBytes, asker, request, pool, mirror)),
    'volume-rename': ({ name, universe, newName, newUniverse, request }) =>
      change(`renamed from ${volumeText({ name, universe })}`, { name: newName, universe: newUniverse }, () =>
        verbs.rename({ name, universe }, { name: newName, universe: newUniverse }, asker, request),
      ),
    'volume-set': async ({ name, universe, settings, request }) => {
      const parsed = parseSettings(settings);
      const changed = await change('changed', { name, universe }, () => verbs.set({ name, universe }, parsed, asker, request));
      if (parsed.schedule !== undefined) scheduleChanged();
      return changed;
    },
    'volume-remove': async ({ name, universe, request }) => {
      const found = await changes.run(
        () => verbs.remove({ name, universe }, asker, request),
        changeText(asker, 'removed', { name, universe }),
      );
      logChange(log, asker, 'removed', found);
      const pool = inventory.catalogue.pools.find((one) => one.name === found.pool.name) ?? found.pool;
      const removed = pool.removed.get(found.manifest.id);
      if (removed === undefined) throw new RsError('E_INTERNAL', `Volume ${name} was removed, and is not among the removed volumes`);
      return { removed: removedView(pool, removed) };
    },
    'volume-restore': ({ name, universe, request }) =>
      change('restored', { name, universe }, () => verbs.restore({ name, universe }, asker, request)),
    'volume-purge': async ({ name, universe, id, olderMs }) => {
      const volume = name === null ? null : { name, universe };
      const what = `removed volumes, which ${byText(asker)} deletes for good`;
      const { purged, left } = await changes.run(() => verbs.purgeRemoved({ volume, id, olderMs }, asker), what);
      for (const one of purged) logChange(log, asker, 'deleted for good', one);
      return { purged: purged.map(({ pool, manifest, removal }) => removedView(pool, { manifest, removal })), left };
    },
  };
}

export function snapshotOrders(
  {
    log,
    changes,
    inventory,
    snapshots,
    differences,
    triggers,
    voters,
  }: Omit<VolumeOrdersPorts, 'verbs' | 'scheduleChanged'> & {
    readonly snapshots: SnapshotVerbs;
    readonly voters: Pick<Voters, 'recordOf'>;
    readonly differences: Pick<SnapshotAnswers, 'difference'>;
    readonly triggers: Pick<Triggers, 'around'>;
  },
  asker: Asker,
): HandlersOf<typeof SNAPSHOT_METHODS> {
  const change = async <T extends Found>(verb: string, volume: VolumeName, work: (turn: Turn) => Promise<T>) => {
    const found = await changes.run(work, changeText(asker, verb, volume));
    logChange(log, asker, verb, found);
    return { volume: await inventory.viewOf(found.pool, found.manifest), found };
  };
  return {
    'volume-snapshot': async ({ snapshots: wanted, request }) => {
      const texts = wanted.map(snapshotText).join(', ');
      const what = `snapshot ${texts}, which is being made by ${byText(asker)}`;
      const names = wanted.map(({ name, universe, snapshot }) => ({ name, universe, snapshot }));
      const make = () => changes.run((turn) => snapshots.snapshot(names, asker, request, turn), what);
      // Check first, so that no trigger program is started for a snapshot that is then refused.
      const isNew = snapshots.check(names, asker, request);
      const facts = { snapshots: names, by: asker.node, isScheduled: false };
      const made = isNew ? await triggers.around(facts, () => changes.checkWanted(), make) : await make();
      for (const one of made) logChange(log, asker, `snapshot ${one.record.name} made`, one);
      return { snapshots: await inventory.snapshotViews(made) };
    },
    ...replicaSnapshotOrders({ snapshots, changes, voters, inventory, logged: (...made) => logChange(log, asker, ...made) }, asker),
    'volume-snapshot-remove': async ({ request, ...name }) => {
      const { volume } = await change(`rid of snapshot ${name.snapshot}`, name, () => snapshots.remove(name, asker, request));
      return { volume };
    },
    'volume-clone': async ({ newName, newUniverse, request, ...name }) => {
      const to = { name: newName, universe: newUniverse };
      const { volume } = await change(`cloned from ${snapshotText(name)}`, to, (turn) => snapshots.clone(name, to, asker, request, turn));
      return { volume };
    },
    'volume-rollback': async ({ request, ...name }) => {
      const { volume, found } = await change(`rolled back to ${name.snapshot}`, name, () => snapshots.rollback(name, asker, request));
      const { kept } = found;
      const [view = null] = kept === null ? [] : await inventory.snapshotViews([{ ...found, record: kept }]);
      return { volume, kept: view };
    },
    'volume-diff': async ({ until, offsetBytes, ...name }) => {
      const { catalogue } = inventory;
      const target = findReadable(catalogue, name, asker);
      const later = until === null ? null : findReadable(catalogue, { ...name, snapshot: until }, asker).record;
      if (later !== null && later.createdMs < target.record.createdMs)
        throw new RsError('E_USAGE', `Snapshot ${later.name} is older than ${name.snapshot}: name the older one first`);
      const { sizeBytes } = later ?? target.manifest;
      const volume = volumeConfigOf(target.pool, target.manifest, catalogue.pools);
      const { ranges, endBytes } = await differences.difference(volume, target.record, later, Math.min(offsetBytes, sizeBytes), sizeBytes);
      return { sizeBytes, endBytes, ranges, snapshotId: target.record.id, untilId: later?.id ?? null };
    },
  };
}

export function imageOrders(
  {
    log,
    changes,
    inventory,
    images,
    replicas,
    jobs,
  }: Omit<VolumeOrdersPorts, 'verbs' | 'scheduleChanged'> & {
    readonly images: ImageVerbs;
    readonly replicas: Pick<ReplicaStore, 'split'>;
    readonly jobs: Pick<ImageJobs, 'image' | 'refresh' | 'restore'>;
  },
  asker: Asker,
): HandlersOf<typeof IMAGE_METHODS> {
  const change = async <T extends Found>(verb: string, volume: VolumeName, work: () => Promise<T>) => {
    const found = await changes.run(work, changeText(asker, verb, volume));
    logChange(log, asker, verb, found);
    return { volume: await inventory.viewOf(found.pool, found.manifest), found };
  };
  return {
    'volume-image': async ({ name, universe, newUniverse, pool, limitBytes, request }) => {
      const of = { name, universe };
      const job =
        pool === null || images.isDone(request) ? null : await jobs.image({ ...of, newUniverse, pool, limitBytes }, asker, changes);
      if (job !== null) return { volume: null, job };
      const work = (): Promise<Found> => images.image(of, newUniverse, asker, request);
      const { volume } = await change(`made as an image of ${volumeText(of)}`, { name, universe: newUniverse }, work);
      return { volume, job: null };
    },
    'volume-refresh': async ({ images: wanted, limitBytes, request }) => {
      const names = wanted.map(({ name, universe }) => ({ name, universe }));
      const begun = images.isDone(request) ? null : await jobs.refresh(names, limitBytes, asker, changes);
      if (begun !== null) return { volumes: [], jobs: begun };
      const what = `images ${names.map(volumeText).join(', ')}, which are being refreshed`;
      const found = await changes.run(() => images.refresh(names, asker, request), what);
      for (const one of found) logChange(log, asker, 'refreshed', one);
      const volumes: ManagedVolumeView[] = [];
      for (const { pool, manifest } of found) volumes.push(await inventory.viewOf(pool, manifest));
      return { volumes, jobs: [] };
    },
    'volume-image-restore': async ({ name, universe, fromUniverse, limitBytes, request }) => {
      const of = { name, universe };
      const job = images.isRestored(request) ? null : await jobs.restore(of, fromUniverse, limitBytes, asker, changes);
      if (job !== null) return { volume: null, kept: null, job };
      const work = () => images.restore(of, fromUniverse, asker, request);
      const { volume, found } = await change(`restored from its image in universe ${fromUniverse}`, of, work);
      const [kept = null] = found.kept === null ? [] : await inventory.snapshotViews([{ ...found, record: found.kept }]);
      return { volume, kept, job: null };
    },
    'volume-split': async ({ name, universe, request }) => {
      const of = { name, universe };
      const work = async (): Promise<Found> => (await replicas.split(of, asker, request)) ?? images.split(of, asker, request);
      const { volume } = await change('split from its volume or mirror', of, work);
      return { volume };
    },
  };
}

function ofPool(
  { volumes, removed }: ServerMethods['volume-list']['result'],
  wanted: string | null,
): ServerMethods['volume-list']['result'] {
  const isWanted = ({ pool }: { readonly pool: string | null }): boolean => wanted === null || pool === wanted;
  return { volumes: volumes.filter(isWanted), removed: removed.filter(isWanted) };
}

/** Text with which the queue names the change to requests that wait for it. */
function changeText(asker: Asker, verb: string, volume: VolumeName): string {
  return `volume ${volumeText(volume)}, which is being ${verb} by ${byText(asker)}`;
}

function byText({ node }: Asker): string {
  return node === null ? 'an administrator on the server' : `client ${node}`;
}

function logChange(log: Pick<Log, 'info'>, asker: Asker, verb: string, { pool, manifest }: Found): void {
  const layout = manifest.layout.kind === 'simple' ? '' : ` (${manifest.layout.kind})`;
  const text = `Volume ${volumeText(manifest)} of pool ${pool.name}${layout}, ${printSize(manifest.sizeBytes)}: ${verb}`;
  const who = byText(asker);
  log.info(`${text}, by ${who}`, {
    ...eventOf(`volume ${volumeKey(manifest)}`, '-', verb, `${printSize(manifest.sizeBytes)} in pool ${pool.name}, by ${who}`),
    audit: true,
    volume: manifest.name,
  });
}

function createRequest(params: Omit<ServerMethods['volume-create']['params'], 'request'>): CreateRequest {
  const { blockSizeBytes, pools = null, chunkBytes = null, settings = [], ...others } = params;
  if (blockSizeBytes !== 512 && blockSizeBytes !== 4096)
    throw new RsError('E_USAGE', `Wrong block size ${blockSizeBytes}: allowed is 512 or 4096`);
  return { ...others, blockSizeBytes, pools, chunkBytes, ...parseLimits(settings) };
}
