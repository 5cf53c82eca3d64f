// Removes from the results of methods what a client may not see. This module is pure. Invariants: a volume that a client may not attach
// does not exist for the client. Only a client with the right `admin` sees file paths of the server. Without this right, a client sees
// names of other clients only as holders of volumes that it may attach, as the clients to which these are replicated, or in the lists of a
// volume of its own. Only a client with the right `admin` may call a method that this file does not name. Rules: A1.

import type { ServerMethods } from '@rsio/common/control/server/server-methods';
import type { ReplicationView } from '@rsio/common/control/server/replication-methods';
import type { JobView, ManagedVolumeView, PoolView, RemovedVolumeView, SnapshotView } from '@rsio/common/control/server/views';
import { SERVER_METHODS } from '@rsio/common/control/server/server-methods';
import { CLIENT_ROLES } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/common/lib/errors';
import type { Asker } from '../../pools/asker.ts';
import { unknownVolume } from '../../pools/catalogue.ts';

type Mask<M extends keyof ServerMethods> = (result: ServerMethods[M]['result'], asker: Asker) => ServerMethods[M]['result'];

const one = ({ volume }: { readonly volume: ManagedVolumeView }, asker: Asker): { readonly volume: ManagedVolumeView } => {
  if (!isVisible(volume, asker)) throw unknownVolume(volume);
  return { volume: visibleVolume(volume, asker) };
};

const oneSnapshot = ({ snapshot }: { readonly snapshot: SnapshotView }, asker: Asker): { readonly snapshot: SnapshotView } => ({
  snapshot: visibleSnapshots([snapshot], asker)[0]!,
});

const MASKS: { readonly [M in keyof ServerMethods]?: Mask<M> } = {
  daemon: (daemon, asker) => ({ ...daemon, methods: daemon.methods.filter((method) => mayCall(method, asker)) }),
  'volume-list': ({ volumes, removed }, asker) => ({
    volumes: volumes.filter((volume) => isVisible(volume, asker)).map((volume) => visibleVolume(volume, asker)),
    removed: removed.filter((volume) => isRestorable(volume, asker)).map((volume) => visibleRemoved(volume, asker)),
  }),
  'volume-show': ({ volume, snapshots }, asker) => ({ ...one({ volume }, asker), snapshots: visibleSnapshots(snapshots, asker) }),
  'volume-create': one,
  'volume-grow': one,
  'volume-rename': one,
  'volume-set': one,
  'volume-restore': one,
  'volume-revoke': (result, asker) => ({ ...result, ...one(result, asker) }),
  'volume-allow': (result, asker) => ({ ...result, ...one(result, asker) }),
  'volume-snapshot': ({ snapshots }, asker) => ({ snapshots: visibleSnapshots(snapshots, asker) }),
  'replica-snapshot': oneSnapshot,
  'replica-snapshot-prove': oneSnapshot,
  'volume-snapshot-remove': one,
  'volume-clone': one,
  'volume-rollback': ({ volume, kept }, asker) => ({
    ...one({ volume }, asker),
    kept: kept === null ? null : (visibleSnapshots([kept], asker)[0] ?? null),
  }),
  'volume-image': ({ volume, job }, asker) => ({
    volume: volume === null ? null : one({ volume }, asker).volume,
    job: job === null ? null : visibleJob(job),
  }),
  'volume-refresh': ({ volumes, jobs }, asker) => ({
    volumes: volumes.map((volume) => one({ volume }, asker).volume),
    jobs: jobs.map(visibleJob),
  }),
  'volume-image-restore': ({ volume, kept, job }, asker) => ({
    volume: volume === null ? null : one({ volume }, asker).volume,
    job: job === null ? null : visibleJob(job),
    kept: kept === null ? null : (visibleSnapshots([kept], asker)[0] ?? null),
  }),
  'volume-split': one,
  'volume-replicate': ({ replication }) => ({ replication: visibleReplication(replication) }),
  'volume-replicate-end': ({ replication }) => ({ replication: replication === null ? null : visibleReplication(replication) }),
  // The list has only replications whose volumes the client may attach.
  'replication-list': ({ replications }) => ({ replications: replications.map(visibleReplication) }),
  // The orders are only those to the client itself, with texts for it.
  'replication-poll': (orders) => orders,
  'replication-moment': (moment) => moment,
  'replication-confirm': (result) => result,
  'replication-hand-over': (node) => node,
  'replication-grant': (node) => node,
  'replication-release': (result) => result,
  'volume-reverse': (result) => result,
  'volume-demote': ({ volumes, ...kept }, asker) => ({ ...kept, volumes: volumes.map((volume) => one({ volume }, asker).volume) }),
  'volume-promote': ({ volumes, ...moment }, asker) => ({ ...moment, volumes: volumes.map((volume) => one({ volume }, asker).volume) }),
  'volume-seed': one,
  'volume-drill': ({ volumes, ...moment }, asker) => ({ ...moment, volumes: volumes.map((volume) => one({ volume }, asker).volume) }),
  // Nothing is removed from this result, because the method is refused if the client may not attach the volume.
  'volume-diff': (difference) => difference,
  'job-list': ({ jobs }) => ({ jobs: jobs.map(visibleJob) }),
  'job-cancel': ({ job }) => ({ job: visibleJob(job) }),
  'job-limit': ({ job }) => ({ job: visibleJob(job) }),
  'volume-move': ({ job }) => ({ job: visibleJob(job) }),
  'volume-copy': ({ job }) => ({ job: visibleJob(job) }),
  'volume-remove': ({ removed }, asker) => ({ removed: visibleRemoved(removed, asker) }),
  'volume-purge': ({ purged, left }, asker) => ({ purged: purged.map((one) => visibleRemoved(one, asker)), left }),
  'message-send': (result) => result,
  'message-take': (result) => result,
  'pool-list': ({ pools }, asker) => ({ pools: pools.filter(({ name }) => asker.mayUsePool(name)).map(visiblePool) }),
};

/** Returns the part of a result that the asker may see. Throws E_UNKNOWN_VOLUME or E_RIGHTS if the asker may see no part. */
export function visibleResult(method: string, result: unknown, asker: Asker): unknown {
  if (asker.role === 'admin') return result;
  const mask = Object.hasOwn(MASKS, method) ? MASKS[method as keyof ServerMethods] : undefined;
  if (mask === undefined) throw new RsError('E_RIGHTS', `The result of ${method} is for clients with the right admin only`);
  return (mask as (result: unknown, asker: Asker) => unknown)(result, asker);
}

/** True if a client with the right of this asker may call the method. */
function mayCall(method: string, { role }: Asker): boolean {
  const needed = Object.hasOwn(SERVER_METHODS, method) ? SERVER_METHODS[method as keyof ServerMethods].remote : null;
  return needed !== null && CLIENT_ROLES.indexOf(role) >= CLIENT_ROLES.indexOf(needed);
}

function isVisible({ clients }: Pick<ManagedVolumeView, 'clients'>, { node }: Asker): boolean {
  return clients === null || node === null || clients.includes(node);
}

function isRestorable(volume: RemovedVolumeView, asker: Asker): boolean {
  return asker.role === 'manage' && asker.mayUsePool(volume.pool) && isVisible(volume, asker);
}

/** The owner and the managers of a volume see the clients that they have named, so that no list that they set again is a shorter one. */
function visibleVolume(volume: ManagedVolumeView, asker: Asker): ManagedVolumeView {
  const { node } = asker;
  const { clients, takeOver, owner, managers, layout } = volume;
  const isTenant = asker.rights.isTenant === true;
  const isOwn = isTenant && asker.owns(volume);
  const shown = (names: readonly string[] | null): readonly string[] | null => (isOwn ? names : own(names, node));
  const files = layout === null ? null : { ...layout, parts: layout.parts.map((part) => ({ ...part, path: null })) };
  return {
    ...volume,
    path: null,
    layout: files,
    clients: shown(clients),
    takeOver: shown(takeOver),
    owner: isOwn || owner === node ? owner : null,
    ...(managers === undefined ? {} : { managers: shown(managers) }),
    ...(isTenant ? { isOwn } : {}),
    schedule: visibleSchedule(volume),
    image: visibleImage(volume, node),
  };
}

/** Removes the name of the image's volume if the client may not attach that volume. */
function visibleImage({ image }: ManagedVolumeView, node: string | null): ManagedVolumeView['image'] {
  if (image === null) return null;
  const isKnown = image.clients === null || node === null || image.clients.includes(node);
  return { ...image, ...(isKnown ? {} : { name: null, universe: null }), clients: own(image.clients, node) };
}

/** Removes the reasons of failures, because they may name files of the server. */
function visibleSchedule({ schedule }: ManagedVolumeView): ManagedVolumeView['schedule'] {
  const mask = (text: string | null): string | null => (text === null ? null : 'The administrator of the server sees why');
  return schedule === null ? null : { ...schedule, failure: mask(schedule.failure), skipped: mask(schedule.skipped) };
}

function visibleSnapshots(snapshots: readonly SnapshotView[], { node }: Asker): SnapshotView[] {
  return snapshots.map((snapshot) => ({ ...snapshot, by: snapshot.by === node ? node : null }));
}

/** Removes the reason why a job waits or has failed, because the reason may name file paths of the server. */
function visibleJob(job: JobView): JobView {
  return { ...job, reason: job.reason === null ? null : 'The administrator of the server sees why' };
}

/** Removes the reason why a replication fails, because the reason may name file paths of either server. */
function visibleReplication(replication: ReplicationView): ReplicationView {
  return replication.state === 'failing' ? { ...replication, text: 'The administrator of the server sees why' } : replication;
}

function visibleRemoved(volume: RemovedVolumeView, { node }: Asker): RemovedVolumeView {
  const { clients, owner, by } = volume;
  return { ...volume, clients: own(clients, node), owner: owner === node ? owner : null, by: by === node ? by : null };
}

function visiblePool(pool: PoolView): PoolView {
  // A client of a farm may know which server serves a pool.
  const reason = pool.reason === null || pool.state === 'elsewhere' ? pool.reason : 'The administrator of the server sees why';
  return { ...pool, path: '', reason, findings: [] };
}

/** Removes all names but the asker's own from a list of clients. */
function own(names: readonly string[] | null, node: string | null): readonly string[] | null {
  return names === null ? null : names.filter((name) => name === node);
}
