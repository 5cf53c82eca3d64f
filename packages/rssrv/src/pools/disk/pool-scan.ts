// Reads a pool when it is opened: its identity, volumes, removed volumes, parts, and findings about unexplained files. Also finishes or
// undoes the change that was in progress when the server stopped (pool-files.ts). Invariants: a folder or file that no manifest explains
// is reported and never deleted. A volume whose manifest cannot be read becomes a finding, and does not prevent the scan from reading the
// other volumes. Rules: C1.

import type { Dirent } from 'node:fs';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '@rsio/base/files/durable-write';
import { RsError, errnoName, toRsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { severalAtOnce } from '@rsio/base/structures/concurrency';
import { MANIFEST_READS_MAX, POOL_FINDINGS_MAX } from '../limits.ts';
import { readBounded, readError, readNames, readText } from './folder-reads.ts';
import { isUuid } from './ids.ts';
import {
  otherParts,
  parseIdentity,
  parseManifest,
  parsePart,
  parseRemoval,
  type Manifest,
  type PartRecord,
  type PoolIdentity,
  type ReadIdentity,
  type Removal,
} from './manifest.ts';
import { deleteContent } from './pool-files.ts';
import { SPARE_FOLDER } from './spare-files.ts';
import { NEW_PREFIX, PURGE_PREFIX, poolPaths } from './pool-paths.ts';
import { isSameStamp, storageStamp } from '../../storage/files/storage-identity.ts';

/** Names of the files and folders in the directory of a pool. mkfs makes `lost+found`. */
const LEDGER_NAMES = ['ledger.json', 'ledger.spare', 'ledger.old'];
const POOL_NAMES: readonly string[] = ['pool.json', ...LEDGER_NAMES, 'volumes', 'removed', 'parts', 'moving', SPARE_FOLDER, 'lost+found'];
/** Names of the intent map of a replica, and of an intent map whose writing was interrupted. */
const MAP_NAMES = ['mirror.map', 'mirror.map.new'];
/** Names of the gate record, and of a gate record whose writing was interrupted; the next writing replaces the latter. */
const RECORD_NAMES = ['gate.record', 'gate.record.new'];
/** Names of the next moment of a follower. */
const INCOMING_NAMES = ['incoming', 'incoming.new', 'incoming.json', 'incoming.json.new'];

export interface RemovedVolume {
  readonly manifest: Manifest;
  readonly removal: Removal;
}

/** A part in a pool. Only the manifest of its volume shows whether the part belongs to the volume. */
export interface FoundPart {
  readonly record: PartRecord;
  /** True if the folder of the part has NEW_PREFIX, so that the manifest of the volume need not name the part yet. */
  readonly isNew: boolean;
}

export interface PoolScan {
  readonly identity: PoolIdentity;
  readonly volumes: readonly Manifest[];
  readonly removed: readonly RemovedVolume[];
  /** Volumes of several files that are being deleted for good. */
  readonly purging: readonly Manifest[];
  /** The parts in the pool: files of volumes of several files. */
  readonly parts: readonly FoundPart[];
  /** Ids of volumes and parts that exist, but cannot be read. */
  readonly unreadable: ReadonlySet<string>;
  /** Ids of volumes and removed volumes that have a folder for snapshots. */
  readonly withSnapshots: ReadonlySet<string>;
  /** Texts about unexplained or unreadable files, at most POOL_FINDINGS_MAX. */
  readonly findings: readonly string[];
}

/**
 * Returns the identity of the pool in `directory`. Returns null if `directory` has no pool.json, because the file system of the pool
 * is then probably not mounted. Throws E_VOLUME if pool.json cannot be used; with `isLost` in its context, the file is empty or damaged.
 */
export async function readIdentity(directory: string): Promise<ReadIdentity | null> {
  const file = poolPaths.identity(directory);
  try {
    const text = await readBounded(file);
    // A power cut can leave a file of zeros or without content, if the disk has lost what it had confirmed.
    if (text.replaceAll('\0', '').trim() === '') throw lostIdentity(directory, 'is empty');
    return parseIdentity(file, text);
  } catch (thrown) {
    const errno = errnoName(thrown);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return null;
    const damage = thrown instanceof RsError && thrown.context['isLost'] !== true ? thrown.context['what'] : undefined;
    throw typeof damage === 'string' ? lostIdentity(directory, `is damaged (${damage})`) : readError(file, thrown);
  }
}

function lostIdentity(directory: string, what: string): RsError {
  const file = poolPaths.identity(directory);
  return new RsError(
    'E_VOLUME',
    `${file} ${what}: rsadm pool add NAME ${directory} writes it again, with the id in the ledger of the pool`,
    {
      file,
      isLost: true,
    },
  );
}

/**
 * Reads the whole pool. If `mayRepair` is true, finishes or undoes an interrupted change; the caller must then hold the lock of the
 * pool. `heard` is called whenever the file system has answered. `making`: ids of volumes that this process is making; the scan does
 * not change their files. Throws E_VOLUME if a folder of the pool cannot be read.
 */
export async function scanPool(
  directory: string,
  identity: PoolIdentity,
  mayRepair: boolean,
  heard = (): void => undefined,
  making: ReadonlySet<string> = new Set(),
): Promise<PoolScan> {
  const findings = new FindingList(heard);
  if (mayRepair) await syncFolders(directory);
  const volumes = await scanVolumes(directory, identity, mayRepair, findings, making);
  const { removed, purging } = await scanRemoved(directory, identity, mayRepair, findings);
  const parts = await scanParts(directory, identity, mayRepair, findings);
  const ids = new Set(volumes.map(({ id }) => id));
  const apart = removed.filter(({ manifest: { id } }) => {
    if (ids.has(id)) findings.add(`${poolPaths.removedVolume(directory, id)} has the id of a volume that exists`);
    return !ids.has(id);
  });
  if (mayRepair) await rm(`${poolPaths.identity(directory)}.new`, { force: true });
  for (const entry of await entriesOf(directory)) {
    if (!POOL_NAMES.includes(entry.name)) findings.add(`${escapeControls(join(directory, entry.name))} does not belong to the pool`);
  }
  return {
    identity,
    volumes,
    removed: apart,
    purging,
    parts,
    unreadable: findings.unreadable,
    withSnapshots: findings.withSnapshots,
    findings: findings.list,
  };
}

/**
 * Syncs the folders of volumes, because the previous server may have died between the rename of a commit and its sync. A crash of the
 * machine could undo an unsynced commit after a client has used the volume.
 */
async function syncFolders(directory: string): Promise<void> {
  for (const folder of [poolPaths.volumes(directory), poolPaths.removed(directory)]) {
    try {
      await syncDirectory(folder);
    } catch (thrown) {
      throw readError(folder, thrown);
    }
  }
}

class FindingList {
  readonly list: string[] = [];
  readonly unreadable = new Set<string>();
  readonly withSnapshots = new Set<string>();
  readonly heard: () => void;

  constructor(heard: () => void) {
    this.heard = heard;
  }

  add(text: string): void {
    if (this.list.length < POOL_FINDINGS_MAX) this.list.push(text);
  }
}

async function scanVolumes(
  directory: string,
  pool: PoolIdentity,
  mayRepair: boolean,
  findings: FindingList,
  making: ReadonlySet<string>,
): Promise<Manifest[]> {
  const volumes = poolPaths.volumes(directory);
  const entries = await entriesOf(volumes);
  const unfinished = entries.filter(({ name }) => name.startsWith(NEW_PREFIX) && isUuid(name.slice(NEW_PREFIX.length)));
  const left = unfinished.filter(({ name }) => !making.has(name.slice(NEW_PREFIX.length)));
  if (mayRepair) await deleteAll(volumes, left);
  const rest = entries.filter((entry) => !unfinished.includes(entry));
  return readAll(rest, findings, volumes, async (folder, id) => {
    const manifest = await readManifest(folder, id, pool);
    const names = checkNames(
      folder,
      await readNames(folder),
      ['volume.json', 'data', 'data.new', 'base', 'snapshots', ...MAP_NAMES, ...RECORD_NAMES, ...INCOMING_NAMES],
      findings,
    );
    if (names.includes('snapshots')) findings.withSnapshots.add(id);
    // Files with these names belong to a removal, or to a change of the manifest, that was interrupted before its commit point.
    if (mayRepair) {
      if (names.includes('data.new')) await settleRollback(folder, manifest);
      const maps = manifest.replica === undefined ? MAP_NAMES : MAP_NAMES.slice(1);
      await deleteLeft(folder, names, ['removed.json', 'removed.json.new', 'volume.json.new', ...maps]);
      await syncDirectory(folder);
    }
    return manifest;
  });
}

async function scanRemoved(
  directory: string,
  pool: PoolIdentity,
  mayRepair: boolean,
  findings: FindingList,
): Promise<{ readonly removed: RemovedVolume[]; readonly purging: Manifest[] }> {
  const removed = poolPaths.removed(directory);
  const entries = await entriesOf(removed);
  const purged = entries.filter(({ name }) => name.startsWith(PURGE_PREFIX) && isUuid(name.slice(PURGE_PREFIX.length)));
  const purging = await scanPurged(removed, purged, pool, mayRepair, findings);
  const rest = entries.filter((entry) => !purged.includes(entry));
  const readable = await readAll(rest, findings, removed, async (folder, id) => {
    const manifest = await readManifest(folder, id, pool);
    const file = poolPaths.removal(folder);
    const names = checkNames(
      folder,
      await readNames(folder),
      ['volume.json', 'data', 'removed.json', 'base', 'snapshots', ...RECORD_NAMES, ...INCOMING_NAMES],
      findings,
    );
    if (names.includes('snapshots')) findings.withSnapshots.add(id);
    if (mayRepair) {
      await deleteLeft(folder, names, ['volume.json.new']);
      await syncDirectory(folder);
    }
    return { manifest, removal: parseRemoval(file, await readText(file)) };
  });
  return { removed: readable, purging };
}

/**
 * Deletes the remains of purged volumes. Keeps the manifest of a volume of several files until its parts are deleted. Also keeps a manifest
 * that cannot be read.
 */
async function scanPurged(
  removed: string,
  purged: readonly Dirent[],
  pool: PoolIdentity,
  mayRepair: boolean,
  findings: FindingList,
): Promise<Manifest[]> {
  const purging = await readAll(
    purged,
    findings,
    removed,
    async (folder, id) => {
      const isThere = await exists(poolPaths.manifest(folder));
      return isThere ? readManifest(folder, id, pool) : null;
    },
    PURGE_PREFIX,
  );
  const withParts = purging.filter((manifest) => manifest !== null && otherParts(manifest).length > 0) as Manifest[];
  if (!mayRepair) return withParts;
  const kept = new Set([...withParts.map(({ id }) => id), ...findings.unreadable]);
  await deleteAll(
    removed,
    purged.filter(({ name }) => !kept.has(name.slice(PURGE_PREFIX.length))),
  );
  for (const { id } of withParts) await deleteContent(join(removed, PURGE_PREFIX + id));
  return withParts;
}

/** Reads the parts of the pool. A pool that never had a part has no folder of parts; the result is then empty. */
async function scanParts(directory: string, pool: PoolIdentity, mayRepair: boolean, findings: FindingList): Promise<FoundPart[]> {
  const parts = poolPaths.parts(directory);
  if (!(await exists(parts))) return [];
  const entries = await entriesOf(parts);
  const purged = entries.filter(({ name }) => name.startsWith(PURGE_PREFIX) && isUuid(name.slice(PURGE_PREFIX.length)));
  const fresh = entries.filter(({ name }) => name.startsWith(NEW_PREFIX) && isUuid(name.slice(NEW_PREFIX.length)));
  if (mayRepair) await deleteAll(parts, purged);
  const rest = entries.filter((entry) => !purged.includes(entry) && !fresh.includes(entry));
  const read = async (folder: string, fileId: string): Promise<PartRecord> => {
    const file = poolPaths.partRecord(folder);
    const record = parsePart(file, await readText(file));
    if (record.fileId !== fileId || record.poolId !== pool.id)
      throw new RsError(
        'E_VOLUME',
        `${file} belongs to part ${record.fileId} of pool ${record.poolId}, not to this folder: restore it from a backup of the pool`,
        { file },
      );
    const names = checkNames(folder, await readNames(folder), ['part.json', 'data', 'part.json.new'], findings);
    if (mayRepair) await deleteLeft(folder, names, ['part.json.new']);
    return record;
  };
  const readNew = async (folder: string, fileId: string): Promise<PartRecord | null> => {
    // The record of a part is written before its data. A folder without a record therefore has no data, and can be deleted.
    const isEmpty = (await entriesOf(folder)).every(({ name }) => name === 'part.json.new');
    if (isEmpty && mayRepair) await rm(folder, { recursive: true });
    return isEmpty ? null : read(folder, fileId);
  };
  const known = await readAll(rest, findings, parts, read);
  const unknown = await readAll(fresh, findings, parts, readNew, NEW_PREFIX);
  const found = [...known.map((record) => ({ record, isNew: false }))];
  const ids = new Set(known.map(({ fileId }) => fileId));
  for (const record of unknown) {
    if (record === null) continue;
    if (ids.has(record.fileId)) findings.add(`${join(parts, NEW_PREFIX + record.fileId)} has the id of a part that exists`);
    else found.push({ record, isNew: true });
  }
  return found;
}

/** Reads folders named after ids, a few at a time. A folder that cannot be read becomes a finding. */
async function readAll<T>(
  entries: readonly Dirent[],
  findings: FindingList,
  parent: string,
  read: (folder: string, id: string) => Promise<T>,
  prefix = '',
): Promise<T[]> {
  const outcomes = await severalAtOnce(entries, MANIFEST_READS_MAX, async (entry) => {
    const folder = join(parent, entry.name);
    const id = entry.name.slice(prefix.length);
    if (!entry.isDirectory() || !isUuid(id)) return `${escapeControls(folder)} does not belong to the pool`;
    try {
      return { value: await read(folder, id) };
    } catch (thrown) {
      findings.unreadable.add(id);
      return toRsError(thrown).message;
    } finally {
      findings.heard();
    }
  });
  const results: T[] = [];
  for (const outcome of outcomes) {
    if (typeof outcome === 'string') findings.add(outcome);
    else results.push(outcome.value);
  }
  return results;
}

async function readManifest(folder: string, id: string, pool: PoolIdentity): Promise<Manifest> {
  const file = poolPaths.manifest(folder);
  const manifest = parseManifest(file, await readText(file));
  const { layout } = manifest;
  const homeId = layout.kind === 'simple' ? pool.id : layout.parts[0]?.poolId;
  if (homeId !== pool.id)
    throw new RsError(
      'E_VOLUME',
      `${file} belongs to pool ${homeId ?? ''}, and this is pool ${pool.id}: remove ${folder} if it was copied from there`,
      { file },
    );
  if (manifest.id === id) return manifest;
  throw new RsError('E_VOLUME', `${file} belongs to volume id ${manifest.id}, not to this folder: restore it from a backup of the pool`, {
    file,
  });
}

/**
 * Returns the names in the folder. Adds a finding for each name that is not in `known` and does not belong to a removal or to a change of
 * the manifest.
 */
function checkNames(folder: string, names: readonly string[], known: readonly string[], findings: FindingList): readonly string[] {
  for (const name of names) {
    const isExplained = known.includes(name) || ['removed.json', 'removed.json.new', 'volume.json.new'].includes(name);
    if (!isExplained) findings.add(`${escapeControls(join(folder, name))} does not belong to the volume`);
  }
  return names;
}

/** Deletes those of the files `left` that are among `names`, the names in the folder. */
async function deleteLeft(folder: string, names: readonly string[], left: readonly string[]): Promise<void> {
  for (const name of left) if (names.includes(name)) await rm(join(folder, name), { force: true });
}

/** Returns true if the file exists. Throws the result of `readError` for every error except ENOENT. */
async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return false;
    throw readError(file, thrown);
  }
}

async function deleteAll(parent: string, entries: readonly Dirent[]): Promise<void> {
  if (entries.length === 0) return;
  for (const { name } of entries) await rm(join(parent, name), { recursive: true, force: true });
  await syncDirectory(parent);
}

async function entriesOf(directory: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  } catch (thrown) {
    throw readError(directory, thrown);
  }
}

// Finishes or undoes a rollback or refresh that a stop of the server has interrupted. The manifest has the stamp of the right data file,
// and thus decides which file stays. If another image decides whether a refresh is committed, the new file stays until that image can be
// read (pools/repair/image-repair.ts). Invariant: if neither the current data file nor the new file has the stamp, both files stay, and the
// volume is not served.
/** Settles the rollback or refresh of one volume. Throws E_VOLUME if neither file has the stamp, or a system error. */
async function settleRollback(folder: string, { stamps, image }: Pick<Manifest, 'stamps' | 'image'>): Promise<void> {
  const [present, next] = [poolPaths.data(folder), poolPaths.nextData(folder)];
  const nextStamp = await stampOf(next);
  if (nextStamp === undefined) return;
  if (image?.next?.stamp === nextStamp) return;
  const [wanted = null] = stamps;
  if (wanted !== null && nextStamp === wanted) {
    await rename(next, present);
  } else {
    // The manifest of a committed rollback has the stamp of the new file, but this manifest has another stamp, so the rollback was not
    // committed.
    const presentStamp = await stampOf(present);
    if (wanted !== null && (presentStamp === undefined || !isSameStamp(presentStamp, wanted)))
      throw new RsError(
        'E_VOLUME',
        `${next} was left by a rollback, and neither it nor ${present} has the stamp in the manifest, because the pool was copied or ` +
          'restored meanwhile: keep the file with the right content as data, and remove the other one',
        { file: next },
      );
    await rm(next);
  }
  await syncDirectory(folder);
}

/** Returns the stamp of a file; undefined if the file does not exist. */
async function stampOf(file: string): Promise<string | null | undefined> {
  try {
    return storageStamp(await stat(file, { bigint: true }), file);
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
