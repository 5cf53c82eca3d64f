// Decides whether snapshots can be made, removed, cloned or rolled back to, and computes their records. Pure: snapshot-verbs.ts executes
// the decision. Invariants: no two snapshots of a volume have the same name. For a volume that the client may not attach, the refusal says
// that the volume is unknown.

import { RsError } from '@rsio/base/lib/errors';
import { timeName } from '@rsio/base/lib/time-name';
import { isSnapshotName, quoteText, SNAPSHOT_NAME_ALLOWED } from '@rsio/base/lib/units';
import { Asker, type Change, LOCAL_ASKER, neededFor } from '../pools/asker.ts';
import {
  type Catalogue,
  checkCount,
  checkName,
  checkOnce,
  checkPromise,
  findToChange,
  findVolume,
  type Found,
  ownedBytes,
  partsOf,
  type PlacedPart,
  type Stamp,
  totalBytes,
  unusable,
  type VolumeName,
  type VolumeRef,
  volumeText,
} from '../pools/catalogue.ts';
import { isUuid, type VolumeId } from '../pools/disk/ids.ts';
import { type Layout, type Manifest, partSizes } from '../pools/disk/manifest.ts';
import { SNAPSHOT_GROUP_MAX, SNAPSHOTS_ALL_MAX, SNAPSHOTS_MAX, SNAPSHOTS_PER_CLIENT_MAX } from '../pools/limits.ts';
import { countSnapshots, isForOwner } from '../pools/snapshots/owned-bytes.ts';
import { poolPaths } from '../pools/disk/pool-paths.ts';
import { checkVerb, type Verb } from '../pools/verb-table.ts';
import {
  filesOf,
  isReadable,
  type MirrorMoment,
  type SnapshotRecord,
  snapshotPaths,
  unprovenText,
} from '../pools/snapshots/snapshot-record.ts';
import { NO_SNAPSHOTS, type VolumeSnapshots } from '../pools/snapshots/snapshot-scan.ts';

export interface SnapshotName extends VolumeName {
  readonly snapshot: string;
}

/** A snapshot by the ids of its volume and of itself. Orders inside the server name snapshots only in this way. */
export type SnapshotRef = VolumeRef & { readonly snapshotId: string };

/** An order inside the server to make a snapshot. Its name is for texts and triggers. */
export type SnapshotOrder = NewSnapshot & VolumeRef;

/** `id`: id of the volume; absent if a person or a client names the volume. */
export interface NewSnapshot extends SnapshotName {
  readonly id?: VolumeId;
  /** The label of the schedule's rule that makes the snapshot; absent if a command makes the snapshot. */
  readonly schedule?: string;
  /** Id of the replication whose moment the snapshot belongs to; absent if it belongs to none. */
  readonly replication?: string;
  /** True if the snapshot keeps what a demotion gives up, also of a volume that is closed for a hand-over. */
  readonly isKept?: boolean;
  /**
   * The moment of the mirror, and the id of the snapshot; absent if the volume is not a replica. The holder of the mirror chooses the same
   * id for all replicas.
   */
  readonly moment?: MirrorMoment & { readonly id: string };
}

/** A snapshot with its volume. */
export interface FoundSnapshot extends Found {
  readonly record: SnapshotRecord;
}

export function snapshotText(name: SnapshotName): string {
  return `${volumeText(name)}@${name.snapshot}`;
}

export function snapshotsOf({ pool, manifest }: Found): VolumeSnapshots {
  return pool.snapshots.get(manifest.id) ?? NO_SNAPSHOTS;
}

/** Facts that are needed to check new snapshots against the limits of clients. */
export interface SnapshotCosts {
  /** Maps the id of a volume to the bytes that its files occupy. A volume without an entry counts as 0 bytes. */
  readonly usedBytes: ReadonlyMap<string, number>;
  /** Returns the limit of a client in bytes; null if the client has no limit. */
  readonly limitOf: (node: string) => number | null;
}

/** Returns the records of new snapshots that are made at one moment. Throws if one of these snapshots cannot be made. */
export function decideSnapshots(
  catalogue: Catalogue,
  wanted: readonly NewSnapshot[],
  asker: Asker,
  { newId, request, nowMs }: Stamp,
  costs: SnapshotCosts,
): readonly FoundSnapshot[] {
  if (wanted.length === 0 || wanted.length > SNAPSHOT_GROUP_MAX)
    throw new RsError(
      'E_USAGE',
      `Snapshots of 1 to ${SNAPSHOT_GROUP_MAX} volumes can be made at one moment, and ${wanted.length} are given`,
    );
  const found = wanted.map((name) => ({ name, ...findToChange(catalogue, name, asker, 'make snapshots') }));
  checkOnce(found.map(({ manifest }) => manifest));
  for (const one of found) checkNew(catalogue, one, one.name, asker);
  const total = countSnapshots(catalogue.pools, null);
  if (total + wanted.length > SNAPSHOTS_ALL_MAX)
    throw new RsError('E_LIMIT', `The volumes of this server have ${total} snapshots, and ${SNAPSHOTS_ALL_MAX} are allowed: remove some`);
  checkLimits(catalogue, found, asker, costs);
  const [home] = found;
  const group = { id: newId(), poolId: home?.pool.identity?.id ?? '', volumeId: home?.manifest.id ?? '' };
  const createdMs = Math.max(...found.map((one) => timeAfter(snapshotsOf(one), nowMs)));
  return found.map(({ name: { snapshot, schedule, moment, replication }, pool, manifest }) => {
    const { id: volumeId, sizeBytes, blockSizeBytes } = manifest;
    const base = { volumeId, sizeBytes, blockSizeBytes, ...timesOf(createdMs, nowMs), creator: asker.node, group, rollback: null, request };
    const made = {
      ...(schedule === undefined ? {} : { schedule }),
      ...(moment === undefined ? {} : { moment: unproven(moment) }),
      ...(replication === undefined ? {} : { replication }),
    };
    const id = moment?.id ?? newId();
    return { pool, manifest, record: { ...base, ...ownFiles(manifest, id, newId), ...made, id, name: snapshot } };
  });
}

function unproven({ mirror, term, number }: MirrorMoment): NonNullable<SnapshotRecord['moment']> {
  return { mirror, term, number, isProven: false };
}

/**
 * M22: throws if the snapshot of a mirror is not one of its replica. Only the holder of the mirror can say whether a replica lacks writes.
 */
function checkMoment(catalogue: Catalogue, { name, universe, replica }: Manifest, moment: NewSnapshot['moment']): void {
  const text = volumeText({ name, universe });
  if (moment === undefined) return;
  if (replica?.mirror !== moment.mirror)
    throw new RsError('E_USAGE', `Volume ${text} is no replica of mirror ${moment.mirror}`, { volume: text, mirror: moment.mirror });
  if (!isUuid(moment.id)) throw new RsError('E_USAGE', `Wrong id of a snapshot ${quoteText(moment.id)}: it is a UUID`);
  const all = catalogue.pools.flatMap(({ snapshots }) => [...snapshots.values()]);
  if (all.some(({ list, pending, making }) => [...list, ...pending, ...making].some(({ id }) => id === moment.id)))
    throw new RsError('E_EXISTS', `A snapshot with id ${moment.id} exists: choose another id`);
}

/**
 * Throws E_LIMIT if a client would have too many snapshots, and E_RIGHTS if the client would exceed its limit of bytes
 * (owned-bytes.ts).
 */
function checkLimits(
  catalogue: Catalogue,
  found: readonly (Found & { readonly name: NewSnapshot })[],
  asker: Asker,
  { usedBytes, limitOf }: SnapshotCosts,
): void {
  const asked = new Map<string, { readonly bytes: number; readonly count: number }>();
  for (const { name, manifest } of found) {
    const node = isForOwner(name) ? manifest.owner : asker.node;
    if (node === null) continue;
    const { bytes, count } = asked.get(node) ?? { bytes: 0, count: 0 };
    asked.set(node, { bytes: bytes + (usedBytes.get(manifest.id) ?? 0), count: count + 1 });
  }
  for (const [node, { bytes, count }] of asked) {
    const has = countSnapshots(catalogue.pools, node);
    if (has + count > SNAPSHOTS_PER_CLIENT_MAX)
      throw new RsError('E_LIMIT', `Client ${node} has ${has} snapshots, and ${SNAPSHOTS_PER_CLIENT_MAX} are allowed: remove some`, {
        node,
      });
    const payer = node === asker.node ? asker : new Asker(node, { role: 'manage', pools: null, limitBytes: limitOf(node) });
    payer.checkLimit(ownedBytes(catalogue, node), bytes);
  }
}

function checkNew(catalogue: Catalogue, found: Found, name: NewSnapshot, asker: Asker): void {
  if (!isSnapshotName(name.snapshot))
    throw new RsError('E_USAGE', `Wrong snapshot name ${quoteText(name.snapshot)}: allowed is ${SNAPSHOT_NAME_ALLOWED}`);
  checkMoment(catalogue, found.manifest, name.moment);
  const { list, pending } = snapshotsOf(found);
  const text = snapshotText({ ...found.manifest, snapshot: name.snapshot });
  if ([...list, ...pending].some((one) => one.name === name.snapshot))
    throw new RsError('E_EXISTS', `Snapshot ${text} exists: choose another name`, { snapshot: text });
  checkVerb(verbOf(name), found, { pools: catalogue.pools, asker });
  snapshotSources(catalogue, found.manifest);
  checkRoom(found.manifest, list);
}

function verbOf({ moment, replication, isKept }: NewSnapshot): Verb {
  const isMoment = replication !== undefined || isKept === true;
  if (moment === undefined) return isMoment ? 'make a moment' : 'snapshot';
  return isMoment ? 'make a moment with its mirror' : 'snapshot with its mirror';
}

/** Throws E_LIMIT if the volume has as many snapshots as are allowed. */
export function checkRoom(manifest: Manifest, list: readonly SnapshotRecord[]): void {
  if (list.length >= SNAPSHOTS_MAX)
    throw new RsError(
      'E_LIMIT',
      `Volume ${volumeText(manifest)} has ${SNAPSHOTS_MAX} snapshots, and no more are allowed: volume remove ${volumeText(manifest)}@SNAPSHOT removes one`,
    );
}

/** Returns the place of a snapshot, and the time to show if the place is not that time. */
export function timesOf(createdMs: number, shownMs: number): Pick<SnapshotRecord, 'createdMs' | 'shownMs'> {
  return createdMs === shownMs ? { createdMs } : { createdMs, shownMs };
}

/** Returns the current time, or a time just after the last snapshot of the volume if the clock was set back. */
function timeAfter({ list }: VolumeSnapshots, nowMs: number): number {
  return Math.max(nowMs, (list.at(-1)?.createdMs ?? -1) + 1);
}

/** Returns the snapshot. Throws E_UNKNOWN_SNAPSHOT, E_VOLUME if the snapshot is unproven, and the errors of `findVolume`. */
export function findSnapshot(catalogue: Catalogue, wanted: SnapshotName, asker: Asker, what: Change): FoundSnapshot {
  return proven(findAnySnapshot(catalogue, wanted, asker, what));
}

/** Like `findSnapshot`, but also returns unproven snapshots, which can only be proven or removed. */
export function findAnySnapshot(catalogue: Catalogue, wanted: SnapshotName | SnapshotRef, asker: Asker, what: Change): FoundSnapshot {
  const volume = findToChange(catalogue, wanted, asker, what);
  const found = 'snapshotId' in wanted ? recordById(volume, wanted) : recordIn(volume, wanted);
  // An unproven snapshot has no content for anyone, and the next holder of the mirror removes it.
  if (neededFor(what) === 'maker' && isReadable(found.record)) asker.checkMaker(found.manifest, found.record.creator, what);
  return found;
}

/** Returns the snapshot. Throws E_VOLUME if the holder of the mirror has not proven the snapshot (M22). */
export function proven(found: FoundSnapshot): FoundSnapshot {
  const { manifest, record } = found;
  if (isReadable(record)) return found;
  const text = snapshotText({ ...manifest, snapshot: record.name });
  throw new RsError('E_VOLUME', `${unprovenText(text)}: volume remove ${text} removes it`, {
    volume: manifest.name,
    snapshot: record.name,
  });
}

/** Like `findSnapshot`, but the asker only reads the snapshot, and therefore needs only the right to attach the volume. */
export function findReadable(catalogue: Catalogue, wanted: SnapshotName, asker: Asker): FoundSnapshot {
  const found = findVolume(catalogue, wanted, asker);
  return proven(recordIn(found, wanted));
}

function recordById(found: Found, { snapshotId }: SnapshotRef): FoundSnapshot {
  const record = snapshotsOf(found).list.find(({ id }) => id === snapshotId);
  if (record !== undefined) return { ...found, record };
  const text = volumeText(found.manifest);
  throw new RsError('E_UNKNOWN_SNAPSHOT', `Volume ${text} has no snapshot with id ${snapshotId} any more: volume show ${text} lists them`, {
    volume: text,
  });
}

function recordIn(found: Found, wanted: SnapshotName): FoundSnapshot {
  const record = snapshotsOf(found).list.find(({ name }) => name === wanted.snapshot);
  if (record !== undefined) return { ...found, record };
  const text = volumeText(wanted);
  throw new RsError('E_UNKNOWN_SNAPSHOT', `Volume ${text} has no snapshot ${quoteText(wanted.snapshot)}: volume show ${text} lists them`, {
    volume: text,
    snapshot: wanted.snapshot,
  });
}

/** Returns the manifest of the new volume, without stamps. Throws if the volume cannot be created. */
export function decideClone(
  catalogue: Catalogue,
  { pool, manifest: source, record }: FoundSnapshot,
  to: VolumeName,
  asker: Asker,
  { id, newId, request, nowMs }: Stamp,
): Omit<Manifest, 'stamps'> {
  const { sizeBytes, blockSizeBytes } = record;
  const files = filesOf(record);
  checkName(catalogue, to, null);
  checkCount(catalogue, asker);
  asker.checkLimit(ownedBytes(catalogue, asker.node), totalBytes(files));
  checkPromise(pool, partSizes(files)[0] ?? 0);
  for (const part of snapshotParts(catalogue, record)) checkPromise(part.pool, part.record.sizeBytes);
  const layout = withNewFiles(files.layout, id, newId);
  // The clone has the same clients as its source, so that no other client gets access to the content.
  const { clients } = source;
  const rights = { ...asker.access({ clients, takeOver: null }), takeOverForce: false, owner: asker.node };
  const flags = { thick: false, readonly: false, shared: false };
  const { name, universe } = to;
  const origin = { volumeId: source.id, snapshotId: record.id };
  return { id, name, universe, sizeBytes, blockSizeBytes, layout, ...flags, ...rights, createdMs: nowMs, origin, request };
}

/** The manifest after a rollback, and the snapshot of the content before the rollback. */
export interface PlannedRollback {
  readonly manifest: Manifest;
  readonly kept: SnapshotRecord;
}

/**
 * Returns the manifest of the volume after the rollback, and the snapshot of the current content. The new data file does not exist yet: the
 * caller later adds the stamp of this file to the manifest (`stamps`) and to the snapshot (`rollback`).
 */
export function decideRollback(catalogue: Catalogue, found: FoundSnapshot, creator: string | null, stamp: Stamp): PlannedRollback {
  snapshotParts(catalogue, found.record);
  return decideOtherContent(catalogue, found, creator, stamp, 'rollback');
}

/**
 * Returns the manifest of a volume that gets other content, and the snapshot of the current content. The new data file does not exist yet:
 * the caller later adds the stamp of this file to the manifest (`stamps`) and to the snapshot (`rollback`). The volume keeps its size: new
 * content that is shorter is extended with zeros. The volume is no longer thick.
 */
export function decideOtherContent(
  catalogue: Catalogue,
  { pool, manifest }: Found,
  creator: string | null,
  { newId, request, nowMs }: Stamp,
  verb: 'rollback' | 'restore',
): PlannedRollback {
  snapshotSources(catalogue, manifest);
  checkVerb('change the content', { pool, manifest }, { pools: catalogue.pools, asker: LOCAL_ASKER });
  const snapshots = snapshotsOf({ pool, manifest });
  checkRoom(manifest, snapshots.list);
  const { id: volumeId, sizeBytes, blockSizeBytes } = manifest;
  const createdMs = timeAfter(snapshots, nowMs);
  const name = freeName(snapshots, `before-${verb}-${timeName(createdMs)}`);
  const group = { id: newId(), poolId: pool.identity?.id ?? '', volumeId };
  const base = { volumeId, sizeBytes, blockSizeBytes, ...timesOf(createdMs, nowMs), creator, group, rollback: null, request };
  const id = newId();
  const layout = withNewFiles(manifest.layout, volumeId, newId);
  return { manifest: { ...manifest, layout, thick: false, request }, kept: { ...base, ...ownFiles(manifest, id, newId), id, name } };
}

/** Returns the layout of a new snapshot of a volume of several files. Each file of the snapshot is in the same pool as its original. */
function ownFiles({ layout }: Manifest, id: string, newId: () => string): { readonly layout?: Layout } {
  return layout.kind === 'simple' ? {} : { layout: withNewFiles(layout, id, newId) };
}

/** Returns the layout with new ids of files. `id`: id of the first file. */
function withNewFiles(layout: Layout, id: string, newId: () => string): Layout {
  if (layout.kind === 'simple') return layout;
  return { ...layout, parts: layout.parts.map((part, index) => ({ ...part, fileId: index === 0 ? id : newId() })) };
}

/** Returns all files of a volume except the first. Throws E_POOL, naming the pool, if a pool cannot be used. */
export function snapshotSources(catalogue: Catalogue, manifest: Pick<Manifest, 'id' | 'layout'>): readonly PlacedPart[] {
  const parts = partsOf(catalogue, manifest);
  for (const { pool } of parts) if (pool.trouble !== null) throw unusable(pool);
  return parts;
}

/** Returns all files of a snapshot except the first. Throws E_POOL, naming the pool, if a pool cannot be used. */
export function snapshotParts(catalogue: Catalogue, snapshot: SnapshotRecord): readonly PlacedPart[] {
  const parts = snapshotSources(catalogue, { id: snapshot.volumeId, ...filesOf(snapshot) });
  return parts.map(({ pool, record }) => ({ pool, record: { ...record, snapshotId: snapshot.id } }));
}

/** Returns the paths of the files of a snapshot, in the order of its layout. Throws E_POOL, naming the pool, if a pool cannot be used. */
export function snapshotFiles(catalogue: Catalogue, { pool: home, manifest, record }: FoundSnapshot): readonly string[] {
  const first = snapshotPaths.data(poolPaths.volume(home.path, manifest.id), record.name);
  const others = snapshotParts(catalogue, record).map(({ pool, record: part }) => poolPaths.data(poolPaths.part(pool.path, part.fileId)));
  return [first, ...others];
}

function freeName({ list, pending }: VolumeSnapshots, name: string): string {
  const taken = new Set([...list, ...pending].map((one) => one.name));
  let free = name;
  for (let number = 2; taken.has(free); number++) free = `${name}-${number}`;
  return free;
}
