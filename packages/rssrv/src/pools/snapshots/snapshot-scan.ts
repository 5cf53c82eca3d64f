// Reads the snapshots of the volumes of a pool when the pool is opened. Also finishes or undoes interrupted changes within one volume;
// snapshot-repair.ts settles changes that another volume decides. Invariants: a file that no description explains is reported and never
// deleted. A snapshot that cannot be read becomes a finding, and does not prevent the scan from reading the other snapshots. Rules: P2.

import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '@rsio/base/files/durable-write';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { severalAtOnce } from '@rsio/base/structures/concurrency';
import { MANIFEST_MAX_BYTES, POOL_FINDINGS_MAX, SNAPSHOT_READS_MAX } from '../limits.ts';
import { partSizes, type PoolIdentity } from '../disk/manifest.ts';
import { poolPaths } from '../disk/pool-paths.ts';
import { type PoolScan, scanPool } from '../disk/pool-scan.ts';
import {
  filesOf,
  parseSnapshot,
  parseSnapshotRemoval,
  placedAs,
  snapshotFileOf,
  snapshotPaths,
  type SnapshotRecord,
  type SnapshotRemoval,
} from './snapshot-record.ts';

/** The snapshots of one volume. */
export interface VolumeSnapshots {
  /** The snapshots that exist, the oldest first. */
  readonly list: readonly SnapshotRecord[];
  /** Prepared snapshots. Another file decides whether these snapshots exist (snapshot-repair.ts). */
  readonly pending: readonly SnapshotRecord[];
  /** Snapshots that this process is making in the background. On disk, these snapshots look like interrupted changes. */
  readonly making: readonly SnapshotRecord[];
  /** The last removal of a snapshot of the volume; null if no snapshot was removed. */
  readonly removal: SnapshotRemoval | null;
  /** True if some snapshots cannot be read. */
  readonly hasUnreadable: boolean;
}

export const NO_SNAPSHOTS: VolumeSnapshots = { list: [], pending: [], making: [], removal: null, hasUnreadable: false };

/** What a scan has found in a pool, with the snapshots of its volumes. */
export interface PoolContentScan extends PoolScan {
  /** Maps the id of a volume or removed volume to its snapshots. */
  readonly snapshots: ReadonlyMap<string, VolumeSnapshots>;
}

/**
 * Snapshots and volumes that this process is making in the background. The scan does not change the files of these snapshots and
 * volumes.
 */
export interface InTheMaking {
  readonly snapshots: ReadonlyMap<string, VolumeSnapshots>;
  /** Ids of the volumes that are being made. */
  readonly volumes: ReadonlySet<string>;
}

const NOTHING: InTheMaking = { snapshots: new Map(), volumes: new Set() };

/** Reads the whole pool. See `scanPool`. */
export async function scanContent(
  directory: string,
  identity: PoolIdentity,
  mayRepair: boolean,
  heard = (): void => undefined,
  { snapshots: before, volumes: making }: InTheMaking = NOTHING,
): Promise<PoolContentScan> {
  const scan = await scanPool(directory, identity, mayRepair, heard, making);
  const folders = [
    ...scan.volumes
      .filter(({ id }) => scan.withSnapshots.has(id))
      .map((manifest) => ({ manifest, folder: poolPaths.volume(directory, manifest.id) })),
    ...scan.removed
      .filter(({ manifest }) => scan.withSnapshots.has(manifest.id))
      .map(({ manifest }) => ({ manifest, folder: poolPaths.removedVolume(directory, manifest.id) })),
  ];
  const found = await severalAtOnce(folders, SNAPSHOT_READS_MAX, async ({ manifest, folder }) => {
    const { snapshots, ...one } = await new SnapshotScan(manifest.id, folder, mayRepair, before.get(manifest.id)?.making ?? []).run();
    heard();
    const placed = (records: readonly SnapshotRecord[]): SnapshotRecord[] => records.map((record) => placedAs(record, manifest));
    const isAny = snapshots !== NO_SNAPSHOTS;
    return { ...one, snapshots: isAny ? { ...snapshots, list: placed(snapshots.list), pending: placed(snapshots.pending) } : snapshots };
  });
  const findings = found.flatMap((one) => one.findings);
  const snapshots = new Map<string, VolumeSnapshots>(
    found.flatMap((one, index) => (one.snapshots === NO_SNAPSHOTS ? [] : [[folders[index]!.manifest.id, one.snapshots] as const])),
  );
  for (const [id, one] of before)
    if (one.making.length > 0) snapshots.set(id, { ...(snapshots.get(id) ?? NO_SNAPSHOTS), making: one.making });
  return {
    ...scan,
    snapshots,
    findings: [...scan.findings, ...findings].slice(0, POOL_FINDINGS_MAX),
  };
}

interface PresentFiles {
  json: boolean;
  data: boolean;
  newJson: boolean;
  newData: boolean;
}

class SnapshotScan {
  private readonly findings: string[] = [];
  private hasUnreadable = false;
  private readonly volumeId: string;
  private readonly folder: string;
  private readonly mayRepair: boolean;
  /** Names of the snapshots that are being made. */
  private readonly making: ReadonlySet<string>;

  /** `folder`: the folder of the volume. */
  constructor(volumeId: string, folder: string, mayRepair: boolean, making: readonly SnapshotRecord[]) {
    this.volumeId = volumeId;
    this.folder = folder;
    this.mayRepair = mayRepair;
    this.making = new Set(making.map(({ name }) => name));
  }

  async run(): Promise<{ readonly snapshots: VolumeSnapshots; readonly findings: readonly string[] }> {
    const at = snapshotPaths.folder(this.folder);
    try {
      const names = await namesIn(at);
      if (names === null) return { snapshots: NO_SNAPSHOTS, findings: [] };
      const removal = await this.readRemoval(names);
      const present = await this.sorted(names);
      const outcomes = await severalAtOnce([...present], SNAPSHOT_READS_MAX, ([name, files]) => this.look(name, files, removal));
      if (this.mayRepair) await syncDirectory(at);
      const list = outcomes.flatMap(({ record }) => record ?? []);
      const pending = outcomes.flatMap((outcome) => outcome.pending ?? []);
      const { hasUnreadable } = this;
      return {
        snapshots: { list: list.toSorted(byTime), pending, making: [], removal, hasUnreadable },
        findings: this.findings.toSorted(),
      };
    } catch (thrown) {
      this.failed(`${at} cannot be read: ${toRsError(thrown).message}`);
      return { snapshots: { ...NO_SNAPSHOTS, hasUnreadable: true }, findings: this.findings };
    }
  }

  private failed(finding: string): null {
    this.findings.push(finding);
    this.hasUnreadable = true;
    return null;
  }

  private async readRemoval(names: readonly string[]): Promise<SnapshotRemoval | null> {
    const file = snapshotPaths.removal(this.folder);
    if (this.mayRepair) await rm(`${file}.new`, { force: true });
    if (!names.includes('last-removal')) return null;
    return this.read(file, parseSnapshotRemoval);
  }

  /** Groups the files by snapshot. */
  private async sorted(names: readonly string[]): Promise<Map<string, PresentFiles>> {
    const present = new Map<string, PresentFiles>();
    for (const name of names) {
      if (name === 'last-removal' || name === 'last-removal.new') continue;
      const file = snapshotFileOf(name);
      const path = join(snapshotPaths.folder(this.folder), name);
      if (file !== null && this.making.has(file.name)) continue;
      if (file === null) {
        this.findings.push(`${escapeControls(path)} belongs to no snapshot`);
      } else if (file.kind === 'json.new') {
        if (this.mayRepair) await rm(path);
      } else {
        const files = present.get(file.name) ?? { json: false, data: false, newJson: false, newData: false };
        present.set(file.name, files);
        if (file.kind === 'json') files[file.isUnfinished ? 'newJson' : 'json'] = true;
        else files[file.isUnfinished ? 'newData' : 'data'] = true;
      }
    }
    return present;
  }

  private async look(
    name: string,
    files: PresentFiles,
    removal: SnapshotRemoval | null,
  ): Promise<{ readonly record?: SnapshotRecord | null; readonly pending?: SnapshotRecord | null }> {
    if (files.json) return { record: await this.existing(name, files, removal) };
    const data = snapshotPaths.data(this.folder, name);
    if (files.data) this.findings.push(`${data} is the data of a snapshot without its description: restore that one, or delete the data`);
    if (files.newJson && files.newData) return { pending: await this.readRecord(snapshotPaths.newRecord(this.folder, name), name) };
    if (this.mayRepair) await this.undo(name);
    return {};
  }

  private async existing(name: string, files: PresentFiles, removal: SnapshotRemoval | null): Promise<SnapshotRecord | null> {
    const [json, data] = [snapshotPaths.record(this.folder, name), snapshotPaths.data(this.folder, name)];
    const record = await this.readRecord(json, name);
    if (record === null) return null;
    if (record.id === removal?.id) {
      if (this.mayRepair) {
        await rm(data, { force: true });
        await rm(json);
      }
      return null;
    }
    if (!files.data && files.newData && this.mayRepair) await rename(snapshotPaths.newData(this.folder, name), data);
    else if (!files.data && !files.newData)
      return this.failed(`${json} describes a snapshot whose data is missing: restore ${data}, or delete the description`);
    else if (this.mayRepair) await this.undo(name);
    return (await this.isWhole(record, data, files)) ? record : null;
  }

  /** Returns true if the data of a snapshot is complete. Checks only the size, because the data of a snapshot is never written to. */
  private async isWhole(record: SnapshotRecord, data: string, { data: isFinished }: PresentFiles): Promise<boolean> {
    if (!isFinished && !this.mayRepair) return true;
    const [sizeBytes = 0] = partSizes(filesOf(record));
    const { size } = await stat(data);
    if (size === sizeBytes) return true;
    this.failed(`${data} has ${size} bytes, but the snapshot has ${sizeBytes}: restore it`);
    return false;
  }

  private async undo(name: string): Promise<void> {
    await rm(snapshotPaths.newRecord(this.folder, name), { force: true });
    await rm(snapshotPaths.newData(this.folder, name), { force: true });
  }

  private async readRecord(file: string, name: string): Promise<SnapshotRecord | null> {
    const record = await this.read(file, parseSnapshot);
    if (record === null || (record.name === name && record.volumeId === this.volumeId)) return record;
    return this.failed(`${file} describes another snapshot, ${record.name} of volume id ${record.volumeId}: restore it`);
  }

  /** Reads and parses a file. If the file cannot be read, adds a finding and returns null. */
  private async read<T>(file: string, parse: (file: string, text: string) => T): Promise<T | null> {
    try {
      const { size } = await stat(file);
      if (size > MANIFEST_MAX_BYTES)
        throw new RsError('E_VOLUME', `${file} has ${size} bytes, allowed are ${MANIFEST_MAX_BYTES}: restore it from a backup of the pool`);
      return parse(file, await readFile(file, 'utf8'));
    } catch (thrown) {
      return this.failed(toRsError(thrown).message);
    }
  }
}

/** Returns the names in the folder; null if the folder does not exist. */
async function namesIn(folder: string): Promise<string[] | null> {
  try {
    return (await readdir(folder)).toSorted();
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return null;
    throw thrown;
  }
}

/** Orders snapshots, the oldest first. */
export function byTime(a: SnapshotRecord, b: SnapshotRecord): number {
  return a.createdMs - b.createdMs || (a.name < b.name ? -1 : 1);
}
