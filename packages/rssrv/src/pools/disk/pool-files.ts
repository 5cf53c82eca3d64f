// Changes the files of one pool. Every change is a sequence of steps with one commit point: the rename that makes the change visible, or
// the link that makes a pool. Invariant: if the process or the machine stops between any two steps, the pool has its state from before or
// after the change, once pool-scan.ts has repaired the pool. The caller decides whether a change is allowed, and makes one change at a
// time. As an exception, the caller may prepare the folder of a new volume in parallel.

// Design.
// Changes of a pool need no journal. A change prepares files that do not count yet, and one atomic rename makes these files count. A
// start finishes or undoes changes whose unfinished names it finds (pool-scan.ts).
//
//   change        prepared                                  commit point                                then
//   make a pool   folders, ledger.json, pool.json.new       link as pool.json                           sync of the pool's folder
//   create        .new-ID with data and volume.json         rename .new-ID -> volumes/ID                sync of volumes/
//   set, rename   volume.json.new                           rename -> volume.json                       sync of volumes/ID
//   grow          longer data, then as above                rename -> volume.json                       sync of volumes/ID
//   remove        removed.json in volumes/ID                rename volumes/ID -> removed/ID             sync of both
//   restore       volume.json in removed/ID                 rename removed/ID -> volumes/ID             sync of both; removed.json deleted
//   purge                                                   rename removed/ID -> removed/.purge-ID      sync of removed/; content deleted
//
//   .new-ID --create--> volumes/ID <--remove, restore--> removed/ID --purge--> .purge-ID --> nothing
//      |                                                                          |
//      '-- a start deletes it                              a start continues -----'
//
// Prepared files are synced before the commit point. The size of a volume is the size in its manifest, volume.json, and not the length of
// its data file. A volume of several files has its manifest and its commit points in one pool, its home; part-files.ts changes the other
// files. On a full file system, removed.json takes the space of a spare file (spare-files.ts).
//
// Rules of docs/PROTOCOL.md: C1 (a change is durable before it is answered) and C2 (a change does not alter content).
//
// Never done here:
// - This class does not overwrite a manifest or removed.json in place: a new file is renamed to it.
// - This class does not check rights, names or room. catalogue.ts decides about these before pool-verbs.ts calls the steps.
// - Errors of this class do not say whether a change stopped before or after the commit point. The caller reads the pool again to find out.

import { link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { replaceFile, syncDirectory } from '@rsio/base/files/durable-write';
import { errnoName } from '@rsio/base/lib/errors';
import { GATE_RECORD_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { createData, extendData, type PoolFilesPorts, writeNew } from './data-file.ts';
import { GATE_RECORD_HEAD_BYTES } from '../limits.ts';
import { parseRecord, printRecord } from './gate-record.ts';
import {
  identityWithLedger,
  type Manifest,
  partSizes,
  type PoolIdentity,
  printIdentity,
  printManifest,
  printRemoval,
  type Removal,
} from './manifest.ts';
import { printEmptyLedger } from './empty-ledger.ts';
import { replaceLedger } from './ledger-space.ts';
import { PartFiles } from './part-files.ts';
import { SpareFiles } from './spare-files.ts';
import { NEW_PREFIX, poolPaths, PURGE_PREFIX } from './pool-paths.ts';

const FOLDER_MODE = 0o700;

export class PoolFiles {
  /** Changes the parts of volumes of several files in this pool. */
  readonly parts: PartFiles;
  readonly spare: SpareFiles;
  readonly directory: string;
  readonly ports: PoolFilesPorts;

  constructor(directory: string, ports: PoolFilesPorts) {
    this.parts = new PartFiles(directory, ports);
    this.spare = new SpareFiles(directory);
    this.directory = directory;
    this.ports = ports;
  }

  /** Creates a pool in an existing directory, with a ledger without holders. Throws EEXIST if the directory already is a pool. */
  async makePool(identity: PoolIdentity): Promise<void> {
    const file = poolPaths.identity(this.directory);
    // Check first, because the ledger of a pool that exists must never be replaced by an empty one.
    if (await isThere(file)) throw Object.assign(new Error(`${file} exists`), { code: 'EEXIST' });
    await makeFolder(poolPaths.volumes(this.directory));
    await makeFolder(poolPaths.removed(this.directory));
    this.reached('pool: folders');
    await this.replaceLedger(Buffer.from(printEmptyLedger(identity.id)));
    this.reached('pool: ledger');
    const temporary = `${file}.new`;
    await rm(temporary, { force: true });
    await writeNew(temporary, printIdentity(identity));
    this.reached('pool: written');
    try {
      // Unlike a rename, a link never replaces a file.
      await link(temporary, file);
    } finally {
      await rm(temporary, { force: true });
    }
    this.reached('pool: identity');
    await syncDirectory(this.directory);
  }

  /**
   * Creates a volume with its first file. The volume exists durably when `create` resolves. If `create` throws before the commit point, no
   * file remains. `otherStamps`: stamps of the volume's other files, which must already exist. `makeData` makes and syncs the first file,
   * and returns its stamp; if `makeData` is omitted, the first file is made of zeros. Returns the manifest with the stamps of all files.
   */
  async create(
    manifest: Omit<Manifest, 'stamps'>,
    otherStamps: readonly (string | null)[],
    makeData: (file: string) => Promise<string | null> = (file) =>
      createData(this.ports, 'create', file, partSizes(manifest)[0] ?? 0, manifest.thick),
  ): Promise<Manifest> {
    try {
      const stamp = await makeData(poolPaths.data(await this.begin(manifest.id)));
      return await this.commit({ ...manifest, stamps: [stamp, ...otherStamps] });
    } catch (thrown) {
      await this.drop(manifest.id);
      throw thrown;
    }
  }

  /**
   * Makes the folder in which a volume is created, and returns its path. If the server stops before `commit` has renamed the folder,
   * the next start deletes the folder.
   */
  async begin(id: string): Promise<string> {
    const folder = this.unfinished(id);
    await mkdir(folder, { mode: FOLDER_MODE });
    this.reached('create: folder');
    return folder;
  }

  /** Commits a new volume durably. The first file of the volume must already be in the volume's folder and synced. */
  async commit(manifest: Manifest): Promise<Manifest> {
    const volumes = poolPaths.volumes(this.directory);
    const folder = this.unfinished(manifest.id);
    await writeNew(poolPaths.manifest(folder), printManifest(manifest));
    this.reached('create: manifest');
    await syncDirectory(folder);
    await rename(folder, poolPaths.volume(this.directory, manifest.id));
    this.reached('create: commit');
    await syncDirectory(volumes);
    this.reached('create: durable');
    return manifest;
  }

  /** Deletes the folder that `begin` has made for a volume that is not committed. */
  async drop(id: string): Promise<void> {
    await rm(this.unfinished(id), { recursive: true, force: true });
  }

  /** Returns the folder in which a volume is created. */
  unfinished(id: string): string {
    return join(poolPaths.volumes(this.directory), NEW_PREFIX + id);
  }

  /** Extends the data file of a volume. The volume grows only when its manifest is replaced. Throws like `extendData`. */
  async extend(id: string, fromBytes: number, sizeBytes: number, thick: boolean): Promise<void> {
    await extendData(this.ports, poolPaths.data(poolPaths.volume(this.directory, id)), fromBytes, sizeBytes, thick);
  }

  /** Replaces the manifest of a volume, which is the commit point of each change of the volume's settings. */
  async replaceManifest(manifest: Manifest): Promise<void> {
    await this.replace(poolPaths.manifest(poolPaths.volume(this.directory, manifest.id)), printManifest(manifest));
    this.reached('change: commit');
  }

  /** Replaces the gate record of a volume durably. After an error, the volume has its old or its new record. Throws system errors. */
  async replaceRecord(id: string, record: Buffer): Promise<void> {
    const folder = poolPaths.volume(this.directory, id);
    // `replaceFile` would make a folder that has vanished again.
    await stat(folder);
    // Hosts need their reservations even when a pool is full, because a cluster uses them to fence its members.
    await this.spare.despiteFull(() => replaceFile(poolPaths.record(folder), printRecord(id, record)));
    this.reached('record: replaced');
  }

  /** Returns the gate record of a volume, or null if it has none. Throws E_VOLUME if the record is damaged. */
  async readRecord(id: string): Promise<Buffer | null> {
    const folder = poolPaths.volume(this.directory, id);
    const file = poolPaths.record(folder);
    if (!(await isThere(file))) {
      await stat(folder);
      return null;
    }
    return parseRecord(file, id, await readRecordFile(file));
  }

  /** Replaces the ledger of the pool, even on a full file system. */
  async replaceLedger(bytes: Buffer): Promise<void> {
    // New space is needed only for the first ledgers of a pool of an earlier release, and for a ledger that has grown.
    await this.spare.despiteFull(() => replaceLedger(this.directory, bytes));
    this.reached('ledger: replaced');
  }

  /**
   * Marks a pool of an earlier release as a pool with a ledger, which must already be durable. Overwrites one byte of pool.json in place,
   * because the lock of the pool is on this file. Writes the whole text only if the file cannot be used.
   */
  async markLedger(identity: PoolIdentity): Promise<void> {
    const handle = await open(poolPaths.identity(this.directory), 'r+');
    try {
      const old = await handle.readFile('utf8');
      const text = identityWithLedger(old) ?? printIdentity(identity);
      if (text !== old) {
        const { bytesWritten } = await handle.write(text, 0);
        await handle.truncate(bytesWritten);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    this.reached('ledger: marked');
  }

  /** Moves a volume to the folder of removed volumes. */
  async remove(id: string, removal: Removal): Promise<void> {
    const folder = poolPaths.volume(this.directory, id);
    await this.replace(poolPaths.removal(folder), printRemoval(removal));
    this.reached('remove: note');
    await rename(folder, poolPaths.removedVolume(this.directory, id));
    this.reached('remove: commit');
    await this.syncBoth();
    this.reached('remove: durable');
  }

  /** Replaces the description of a removal, also on a full file system. */
  async noteRemoval(id: string, removal: Removal): Promise<void> {
    const folder = poolPaths.removedVolume(this.directory, id);
    // `replaceFile` would make a folder that has vanished again.
    await stat(folder);
    await this.spare.replaceFile(poolPaths.removal(folder), printRemoval(removal));
    this.reached('remove: age');
  }

  /** Replaces the manifest of a removed volume. */
  async replaceRemoved(manifest: Manifest): Promise<void> {
    const folder = poolPaths.removedVolume(this.directory, manifest.id);
    // `replaceFile` would make a folder that has vanished again.
    await stat(folder);
    await this.replace(poolPaths.manifest(folder), printManifest(manifest));
    this.reached('remove: manifest');
  }

  /** Moves a removed volume back to the folder of volumes, with `manifest` as its manifest. */
  async restore(manifest: Manifest): Promise<void> {
    const from = poolPaths.removedVolume(this.directory, manifest.id);
    const to = poolPaths.volume(this.directory, manifest.id);
    await this.replace(poolPaths.manifest(from), printManifest(manifest));
    this.reached('restore: manifest');
    await rename(from, to);
    this.reached('restore: commit');
    await this.syncBoth();
    this.reached('restore: durable');
    await rm(poolPaths.removal(to), { force: true });
    this.reached('restore: note');
  }

  /**
   * Deletes a removed volume for good. After the first step, the volume cannot be restored. The manifest of a volume of several files
   * stays until `forget` deletes it, because it lists the parts to delete.
   */
  async purge({ id, layout }: Pick<Manifest, 'id' | 'layout'>): Promise<void> {
    const removed = poolPaths.removed(this.directory);
    const folder = join(removed, PURGE_PREFIX + id);
    await rename(poolPaths.removedVolume(this.directory, id), folder);
    this.reached('purge: commit');
    await syncDirectory(removed);
    if (layout.kind === 'simple') await rm(folder, { recursive: true, force: true });
    else await deleteContent(folder);
    this.reached('purge: deleted');
  }

  /** Deletes the manifest of a purged volume, after all its parts have been deleted. */
  async forget(id: string): Promise<void> {
    await rm(join(poolPaths.removed(this.directory), PURGE_PREFIX + id), { recursive: true, force: true });
    await syncDirectory(poolPaths.removed(this.directory));
    this.reached('purge: forgotten');
  }

  private async syncBoth(): Promise<void> {
    await syncDirectory(poolPaths.volumes(this.directory));
    await syncDirectory(poolPaths.removed(this.directory));
  }

  /** Replaces a file in the folder of a volume. Fails if the folder has vanished, and does not let `replaceFile` make the folder again. */
  private async replace(file: string, text: string): Promise<void> {
    await stat(dirname(file));
    await this.spare.replaceFile(file, text);
  }

  private reached(step: string): void {
    this.ports.reached?.(step);
  }
}

/** Deletes data and snapshots of a purged volume. The manifest stays, because it lists the parts. */
export async function deleteContent(folder: string): Promise<void> {
  await rm(poolPaths.data(folder), { force: true });
  await rm(poolPaths.snapshots(folder), { recursive: true, force: true });
}

/**
 * Reads the file of a gate record, but no more bytes than the longest record has. A longer file is damaged, and its first part is not valid
 * either.
 */
export async function readRecordFile(file: string): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const bytes = Buffer.alloc(GATE_RECORD_HEAD_BYTES + GATE_RECORD_MAX_BYTES);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    return bytes.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

export async function isThere(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return false;
    throw thrown;
  }
}

/**
 * Makes a folder unless it exists. Node's recursive mkdir is not used, because it never returns if the path is on a file system such
 * as /proc.
 */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: FOLDER_MODE });
  } catch (thrown) {
    if (errnoName(thrown) !== 'EEXIST') throw thrown;
  }
}
