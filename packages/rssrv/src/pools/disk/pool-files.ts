// Changes the files of one pool. Every change is a sequence of steps with one commit point, the rename that makes it visible. Invariant: if
// the process or the machine stops between any two steps, then the pool has its state from before or after the change, once
// pool-scan.ts has removed the rest. The caller makes one change at a time and decides whether a change is allowed.

import { constants } from 'node:fs';
import { link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { replaceFile, syncDirectory } from '@rsio/common/files/durable-write';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import { storageStamp } from '../../backends/files/storage-identity.ts';
import { type Manifest, type PoolIdentity, printIdentity, printManifest, printRemoval, type Removal } from './manifest.ts';

const { O_RDWR, O_CREAT, O_EXCL } = constants;
const DATA_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** Prefix of the folder of a volume that is being created. The volume does not exist yet. */
export const NEW_PREFIX = '.new-';
/** Prefix of the folder of a removed volume that is being deleted. The volume cannot be restored any more. */
export const PURGE_PREFIX = '.purge-';

/** The names of files and folders in a pool. */
export const poolPaths = {
  identity: (pool: string): string => join(pool, 'pool.json'),
  volumes: (pool: string): string => join(pool, 'volumes'),
  removed: (pool: string): string => join(pool, 'removed'),
  volume: (pool: string, id: string): string => join(pool, 'volumes', id),
  removedVolume: (pool: string, id: string): string => join(pool, 'removed', id),
  manifest: (folder: string): string => join(folder, 'volume.json'),
  removal: (folder: string): string => join(folder, 'removed.json'),
  data: (folder: string): string => join(folder, 'data'),
} as const;

/** Allocates the bytes from `fromBytes` to `toBytes` of a file without changing its content. Throws a system error. */
export type Allocate = (file: string, fromBytes: number, toBytes: number) => Promise<void>;

export interface PoolFilesPorts {
  readonly allocate: Allocate;
  /** Called after each step. Tests stop the process there. */
  readonly reached?: ((step: string) => void) | undefined;
}

export class PoolFiles {
  private readonly directory: string;
  private readonly ports: PoolFilesPorts;

  constructor(directory: string, ports: PoolFilesPorts) {
    this.directory = directory;
    this.ports = ports;
  }

  /** Creates a pool in an existing directory. Throws EEXIST if the directory already is a pool. */
  async makePool(identity: PoolIdentity): Promise<void> {
    const file = poolPaths.identity(this.directory);
    await makeFolder(poolPaths.volumes(this.directory));
    await makeFolder(poolPaths.removed(this.directory));
    this.reached('pool: folders');
    const temporary = `${file}.new`;
    await rm(temporary, { force: true });
    await this.write(temporary, printIdentity(identity));
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
   * Creates a volume of one file. The stamps in the result are those of its files. If this throws, nothing remains. The volume exists
   * durably when this resolves.
   */
  async create(manifest: Omit<Manifest, 'stamps'>): Promise<Manifest> {
    const volumes = poolPaths.volumes(this.directory);
    const folder = join(volumes, NEW_PREFIX + manifest.id);
    try {
      await mkdir(folder, { mode: FOLDER_MODE });
      this.reached('create: folder');
      const stamp = await this.createData(poolPaths.data(folder), manifest.sizeBytes, manifest.thick);
      const whole: Manifest = { ...manifest, stamps: [stamp] };
      await this.write(poolPaths.manifest(folder), printManifest(whole));
      this.reached('create: manifest');
      await syncDirectory(folder);
      await rename(folder, poolPaths.volume(this.directory, manifest.id));
      this.reached('create: commit');
      await syncDirectory(volumes);
      this.reached('create: durable');
      return whole;
    } catch (thrown) {
      await rm(folder, { recursive: true, force: true });
      throw thrown;
    }
  }

  private async createData(file: string, sizeBytes: number, thick: boolean): Promise<string | null> {
    const handle = await open(file, O_RDWR | O_CREAT | O_EXCL, DATA_MODE);
    try {
      await handle.truncate(sizeBytes);
      if (thick) await this.ports.allocate(file, 0, sizeBytes);
      this.reached('create: data');
      await handle.sync();
      return storageStamp(await handle.stat({ bigint: true }), file);
    } finally {
      await handle.close();
    }
  }

  /**
   * Extends the data file from at least `fromBytes` to `sizeBytes`. Throws E_VOLUME if it is shorter than that. The volume keeps its size until its manifest is replaced. Bytes beyond the size in the manifest are
   * zero, because they were never served.
   */
  async extend(id: string, fromBytes: number, sizeBytes: number, thick: boolean): Promise<void> {
    const file = poolPaths.data(poolPaths.volume(this.directory, id));
    const handle = await open(file, O_RDWR);
    try {
      const { size } = await handle.stat();
      // The missing content would otherwise read as zeros.
      if (size < fromBytes)
        throw new RsError(
          'E_VOLUME',
          `${file} has ${size} bytes, but the volume has ${fromBytes}: restore its content; if zeros are correct, make it ${fromBytes} bytes long with truncate(1), then reload`,
          { file },
        );
      if (size < sizeBytes) await handle.truncate(sizeBytes);
      if (thick) await this.ports.allocate(file, fromBytes, sizeBytes);
      this.reached('grow: data');
      await handle.sync();
    } finally {
      await handle.close();
    }
    this.reached('grow: durable data');
  }

  /** Replaces the manifest of a volume, which is the commit point of each change of its settings. */
  async replaceManifest(manifest: Manifest): Promise<void> {
    await this.replace(poolPaths.manifest(poolPaths.volume(this.directory, manifest.id)), printManifest(manifest));
    this.reached('change: commit');
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

  /** Moves a removed volume back, with the settings in `manifest`. */
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

  /** Deletes a removed volume for good. Once the first step is done, the volume cannot be restored. */
  async purge(id: string): Promise<void> {
    const removed = poolPaths.removed(this.directory);
    const folder = join(removed, PURGE_PREFIX + id);
    await rename(poolPaths.removedVolume(this.directory, id), folder);
    this.reached('purge: commit');
    await syncDirectory(removed);
    await rm(folder, { recursive: true, force: true });
    this.reached('purge: deleted');
  }

  private async syncBoth(): Promise<void> {
    await syncDirectory(poolPaths.volumes(this.directory));
    await syncDirectory(poolPaths.removed(this.directory));
  }

  /** Replaces a file in the folder of a volume. Unlike `replaceFile`, does not make a folder that has vanished. */
  private async replace(file: string, text: string): Promise<void> {
    await stat(dirname(file));
    await replaceFile(file, text);
  }

  private async write(file: string, text: string): Promise<void> {
    const handle = await open(file, O_RDWR | O_CREAT | O_EXCL, DATA_MODE);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  private reached(step: string): void {
    this.ports.reached?.(step);
  }
}

/** Makes a folder unless it exists. Node's recursive mkdir is not used, because it never returns on a file system such as /proc. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: FOLDER_MODE });
  } catch (thrown) {
    if (errnoName(thrown) !== 'EEXIST') throw thrown;
  }
}
