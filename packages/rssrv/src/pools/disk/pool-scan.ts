// Reads a pool when it is opened: its identity, its volumes, its removed volumes, and what it cannot explain. It also finishes or undoes
// the change that was in progress when the server stopped (pool-files.ts). Invariants: a folder or file that no manifest explains is
// reported and never deleted; a volume whose manifest cannot be read is a finding, and the other volumes are read nevertheless.

import type { Dirent } from 'node:fs';
import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '@rsio/common/files/durable-write';
import { errnoName, errnoRemedy, RsError, toRsError } from '@rsio/common/lib/errors';
import { escapeControls } from '@rsio/common/lib/printable';
import { MANIFEST_MAX_BYTES, MANIFEST_READS_MAX, POOL_FINDINGS_MAX } from './limits.ts';
import { isUuid, type Manifest, parseIdentity, parseManifest, parseRemoval, type PoolIdentity, type Removal } from './manifest.ts';
import { NEW_PREFIX, poolPaths, PURGE_PREFIX } from './pool-files.ts';

export interface RemovedVolume {
  readonly manifest: Manifest;
  readonly removal: Removal;
}

export interface PoolScan {
  readonly identity: PoolIdentity;
  readonly volumes: readonly Manifest[];
  readonly removed: readonly RemovedVolume[];
  /** Texts about what the pool does not explain, at most POOL_FINDINGS_MAX. */
  readonly findings: readonly string[];
}

/**
 * Returns the identity of the pool in `directory`, or null if there is no pool.json: the file system of the pool is then probably not
 * mounted. Throws E_VOLUME if pool.json cannot be used.
 */
export async function readIdentity(directory: string): Promise<PoolIdentity | null> {
  const file = poolPaths.identity(directory);
  try {
    return parseIdentity(file, await readBounded(file));
  } catch (thrown) {
    const errno = errnoName(thrown);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return null;
    throw readError(file, thrown);
  }
}

/**
 * Reads the whole pool. `mayRepair`: finish or undo an interrupted change, for which the caller must hold the lock of the pool. `heard`
 * is called whenever the file system has answered. Throws E_VOLUME if a folder of the pool cannot be read.
 */
export async function scanPool(
  directory: string,
  identity: PoolIdentity,
  mayRepair: boolean,
  heard = (): void => undefined,
): Promise<PoolScan> {
  const findings = new FindingList(heard);
  const volumes = await scanVolumes(directory, mayRepair, findings);
  const removed = await scanRemoved(directory, mayRepair, findings);
  const ids = new Set(volumes.map(({ id }) => id));
  const apart = removed.filter(({ manifest: { id } }) => {
    if (ids.has(id)) findings.add(`${poolPaths.removedVolume(directory, id)} has the id of a volume that exists`);
    return !ids.has(id);
  });
  if (mayRepair) await rm(`${poolPaths.identity(directory)}.new`, { force: true });
  for (const entry of await entriesOf(directory)) {
    if (!['pool.json', 'volumes', 'removed', 'lost+found'].includes(entry.name))
      findings.add(`${escapeControls(join(directory, entry.name))} does not belong to the pool`);
  }
  return { identity, volumes, removed: apart, findings: findings.list };
}

class FindingList {
  readonly list: string[] = [];
  readonly heard: () => void;

  constructor(heard: () => void) {
    this.heard = heard;
  }

  add(text: string): void {
    if (this.list.length < POOL_FINDINGS_MAX) this.list.push(text);
  }
}

async function scanVolumes(directory: string, mayRepair: boolean, findings: FindingList): Promise<Manifest[]> {
  const volumes = poolPaths.volumes(directory);
  const entries = await entriesOf(volumes);
  const unfinished = entries.filter(({ name }) => name.startsWith(NEW_PREFIX) && isUuid(name.slice(NEW_PREFIX.length)));
  if (mayRepair) await deleteAll(volumes, unfinished);
  const rest = entries.filter((entry) => !unfinished.includes(entry));
  return readAll(rest, findings, volumes, async (folder, id) => {
    const manifest = await readManifest(folder, id);
    await checkContent(folder, ['volume.json', 'data'], findings);
    // A removal or a change of the manifest was interrupted before its commit point.
    if (mayRepair)
      for (const file of ['removed.json', 'removed.json.new', 'volume.json.new']) await rm(join(folder, file), { force: true });
    return manifest;
  });
}

async function scanRemoved(directory: string, mayRepair: boolean, findings: FindingList): Promise<RemovedVolume[]> {
  const removed = poolPaths.removed(directory);
  const entries = await entriesOf(removed);
  const purged = entries.filter(({ name }) => name.startsWith(PURGE_PREFIX) && isUuid(name.slice(PURGE_PREFIX.length)));
  if (mayRepair) await deleteAll(removed, purged);
  const rest = entries.filter((entry) => !purged.includes(entry));
  return readAll(rest, findings, removed, async (folder, id) => {
    const manifest = await readManifest(folder, id);
    const file = poolPaths.removal(folder);
    await checkContent(folder, ['volume.json', 'data', 'removed.json'], findings);
    if (mayRepair) await rm(`${poolPaths.manifest(folder)}.new`, { force: true });
    return { manifest, removal: parseRemoval(file, await readText(file)) };
  });
}

/** Reads folders named after ids, a few at a time. A folder that cannot be read becomes a finding. */
async function readAll<T>(
  entries: readonly Dirent[],
  findings: FindingList,
  parent: string,
  read: (folder: string, id: string) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  for (let start = 0; start < entries.length; start += MANIFEST_READS_MAX) {
    const some = entries.slice(start, start + MANIFEST_READS_MAX);
    const outcomes = await Promise.all(
      some.map(async (entry) => {
        const folder = join(parent, entry.name);
        if (!entry.isDirectory() || !isUuid(entry.name)) return `${escapeControls(folder)} does not belong to the pool`;
        try {
          return { value: await read(folder, entry.name) };
        } catch (thrown) {
          return toRsError(thrown).message;
        }
      }),
    );
    findings.heard();
    for (const outcome of outcomes) {
      if (typeof outcome === 'string') findings.add(outcome);
      else results.push(outcome.value);
    }
  }
  return results;
}

async function readManifest(folder: string, id: string): Promise<Manifest> {
  const file = poolPaths.manifest(folder);
  const manifest = parseManifest(file, await readText(file));
  if (manifest.id === id) return manifest;
  throw new RsError('E_VOLUME', `${file} belongs to volume id ${manifest.id}, not to this folder: restore it from a backup of the pool`, {
    file,
  });
}

async function checkContent(folder: string, known: readonly string[], findings: FindingList): Promise<void> {
  for (const { name } of await entriesOf(folder)) {
    const isExplained = known.includes(name) || ['removed.json', 'removed.json.new', 'volume.json.new'].includes(name);
    if (!isExplained) findings.add(`${escapeControls(join(folder, name))} does not belong to the volume`);
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

async function readText(file: string): Promise<string> {
  try {
    return await readBounded(file);
  } catch (thrown) {
    throw readError(file, thrown);
  }
}

async function readBounded(file: string): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    if (size > MANIFEST_MAX_BYTES)
      throw new RsError('E_VOLUME', `${file} has ${size} bytes, allowed are ${MANIFEST_MAX_BYTES}: restore it from a backup of the pool`, {
        file,
      });
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

function readError(file: string, thrown: unknown): RsError {
  if (thrown instanceof RsError) return thrown;
  const errno = errnoName(thrown);
  return new RsError(
    'E_VOLUME',
    `${file} cannot be read (${errno ?? String(thrown)}): ${errnoRemedy(errno) ?? 'check the file system of the pool'}`,
    { file, errno },
    thrown,
  );
}
