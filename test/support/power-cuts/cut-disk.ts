// A disk whose power can be cut: its file system stops at once, and unwritten data is lost. XFS can be shut down, but btrfs cannot. The
// image of a btrfs is therefore a file on an XFS, and this XFS is shut down. Invariant: after `mount`, the disk has the content that a
// restarted machine would find.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { isProgramThere } from '@rsio/base/testing/needs';
import { makeReflinkDisk, type ReflinkKind } from '../devices/reflink-disk.ts';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { runWell } from '../programs/programs.ts';
import { waitFor } from '../programs/wait-for.ts';

const BLOCK_DEVICES = '/sys/block';
const UNMOUNT_MS = 10_000;
const RELEASED_MS = 30_000;
/** Size of the XFS that has the image of a btrfs of 512 MiB. */
const UNDER_BYTES = 1024 * 1024 ** 2;

interface Layer {
  readonly directory: string;
  readonly image: string;
}

export class CutDisk {
  readonly directory: string;
  /** The file systems of the disk, the lowest one first. */
  private readonly layers: readonly Layer[];

  private constructor(layers: readonly Layer[]) {
    this.layers = layers;
    this.directory = layers.at(-1)!.directory;
  }

  /** Makes a disk. Returns null if this machine lacks root, loop devices, xfsprogs or btrfs-progs. */
  static make(hosts: Hosts, host: Host, sizeBytes?: number, name = 'reflink', kind: ReflinkKind = 'xfs'): CutDisk | null {
    if (!isProgramThere('xfs_io')) return null;
    const layers: Layer[] = [];
    if (kind === 'btrfs') {
      const under = makeReflinkDisk(hosts, host, UNDER_BYTES, 'xfs', `${name}-under`);
      if (under === null) return null;
      layers.push({ directory: under, image: `${under}.img` });
    }
    const folder = layers[0]?.directory ?? host.root;
    const directory = makeReflinkDisk(hosts, host, sizeBytes, kind, name, folder);
    if (directory === null) return null;
    return new CutDisk([...layers, { directory, image: path.join(folder, `${name}.img`) }]);
  }

  /** Cuts the power. `keepsLog`: writes the log of the XFS first, so that files may exist without their data. */
  async cut(keepsLog: boolean): Promise<void> {
    await runWell('xfs_io', ['-x', '-c', keepsLog ? 'shutdown -f' : 'shutdown', this.layers[0]!.directory]);
  }

  /** Unmounts and mounts the disk, as a start of the machine does. No process may use the disk. */
  async mount(): Promise<void> {
    for (const { directory, image } of this.layers.toReversed()) {
      await waitFor(() => spawnSync('umount', [directory]).status === 0, UNMOUNT_MS, `${directory} is unmounted`);
      // Waits until no program uses the old file system, because otherwise the mount would return the same file system again. Programs with
      // copies of all mounts, as in tests of devices, may use the old file system for a while.
      await waitFor(() => !hasDevice(image), RELEASED_MS, `No other mount namespace uses ${image}`);
    }
    for (const { directory, image } of this.layers) {
      const { status, stderr } = spawnSync('mount', ['-o', 'loop', image, directory], { encoding: 'utf8' });
      if (status !== 0) throw new Error(`The disk cannot be mounted any more: ${stderr}`);
    }
  }

  /** Number of bytes in use on the disk, metadata included. */
  usedBytes(): number {
    const { blocks, bfree, bsize } = statfsSync(this.directory);
    return (blocks - bfree) * bsize;
  }
}

/**
 * Whether a loop device uses the image. Does not use `losetup`, which blocks while the file of any loop device is on a hanging FUSE file
 * system.
 */
function hasDevice(image: string): boolean {
  return readdirSync(BLOCK_DEVICES).some((name) => textOf(path.join(BLOCK_DEVICES, name, 'loop/backing_file')) === `${image}\n`);
}

/** Returns the text of a file; '' if the file does not exist, because the device may lose its file at this moment. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
