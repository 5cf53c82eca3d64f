// Removes from the results of methods what a client may not see. This module is pure. Invariants: a volume that a client may not attach
// does not exist for the client. Only a client with the right `admin` or `view` sees file paths of the server. Without these rights, a client sees
// names of other clients only as holders of volumes that it may attach, as the clients to which these are replicated, or in the lists of a
// volume of its own. Only clients with these rights see the result of a method without `shows` in its entry. Rules: A1.

import type { JobView, ManagedVolumeView, PoolView, RemovedVolumeView, SnapshotView, ReplicationView } from '@rsio/api/views/views';
import { mayCall } from '@rsio/api/rssrv/may-call';
import type { MaskedKind, MaskedViews, ServerMethod } from '@rsio/api/rssrv/server-method';
import { SERVER_METHODS, type ServerMethodName } from '@rsio/api/rssrv/server-methods';
import { RsError } from '@rsio/base/lib/errors';
import { fieldsOf } from '@rsio/base/lib/shape';
import type { Asker } from '../../pools/asker.ts';
import { unknownVolume } from '../../pools/catalogue.ts';

interface Masking<V> {
  /** A list of a method that reads has only the objects for which this is true. */
  readonly isListed: (view: V, asker: Asker) => boolean;
  /** Throws if the asker may not see the object at all. */
  readonly mask: (view: V, asker: Asker) => V;
}

const always = (): boolean => true;

const MASKS: { readonly [K in keyof MaskedViews]: Masking<MaskedViews[K]> } & { readonly method: Masking<string> } = {
  volume: {
    isListed: isVisible,
    mask: (volume, asker) => {
      if (!isVisible(volume, asker)) throw unknownVolume(volume);
      return visibleVolume(volume, asker);
    },
  },
  snapshot: { isListed: always, mask: visibleSnapshot },
  removed: { isListed: isRestorable, mask: visibleRemoved },
  job: { isListed: always, mask: visibleJob },
  // The list has only replications whose volumes the client may attach.
  replication: { isListed: always, mask: visibleReplication },
  pool: { isListed: ({ name }, asker) => asker.mayUsePool(name), mask: visiblePool },
  method: { isListed: isOpenTo, mask: (method) => method },
};

/** Returns the part of a result that the asker may see. Throws E_UNKNOWN_VOLUME or E_RIGHTS if the asker may see no part. */
export function visibleResult(method: ServerMethodName, result: unknown, asker: Asker): unknown {
  if (asker.seesAll) return result;
  const { shows, repeats, result: shape }: ServerMethod = SERVER_METHODS[method];
  if (shows === null) throw new RsError('E_RIGHTS', `The result of ${method} is for clients with the right admin or view only`);
  // What the entry does not declare is not shown.
  const fields = fieldsOf(shape, result as Readonly<Record<string, unknown>>);
  const shown = Object.entries(shows).map(([field, kind]) => [field, shownField(kind, fields[field], repeats === null, asker)]);
  return { ...fields, ...Object.fromEntries(shown) };
}

function shownField(kind: MaskedKind, value: unknown, isRead: boolean, asker: Asker): unknown {
  if (value === null || value === undefined) return value;
  const { isListed, mask } = MASKS[kind] as Masking<unknown>;
  if (!Array.isArray(value)) return mask(value, asker);
  return value.filter((one) => !isRead || isListed(one, asker)).map((one) => mask(one, asker));
}

/** True if a client with the right of this asker may call the method. */
function isOpenTo(method: string, { role }: Asker): boolean {
  return Object.hasOwn(SERVER_METHODS, method) && mayCall(role, SERVER_METHODS[method as ServerMethodName]);
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

function visibleSnapshot(snapshot: SnapshotView, { node }: Asker): SnapshotView {
  return { ...snapshot, by: snapshot.by === node ? node : null };
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
