// A disk with XFS whose power can be cut: its file system stops at once, and what it has not yet written is lost. Invariant: after `mount`,
// the disk has what a machine would find that starts again.

import { spawnSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { isProgramThere } from '@rsio/common/testing/needs';
import { makeReflinkDisk } from '../devices/reflink-disk.ts';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { runWell } from '../programs/programs.ts';
import { waitFor } from '../programs/wait-for.ts';

const UNMOUNT_MS = 10_000;
const RELEASED_MS = 30_000;

export class CutDisk {
  readonly directory: string;
  private readonly image: string;

  private constructor(directory: string, image: string) {
    this.directory = directory;
    this.image = image;
  }

  /** Returns null where it cannot be made: without root, loop devices or xfsprogs. */
  static make(hosts: Hosts, host: Host, sizeBytes?: number, name = 'reflink'): CutDisk | null {
    if (!isProgramThere('xfs_io')) return null;
    const made = makeReflinkDisk(hosts, host, sizeBytes, 'xfs', name);
    return made === null ? null : new CutDisk(made, `${made}.img`);
  }

  /** `keepsLog`: the log of the file system is written first, so that files may be there without what was written to them. */
  async cut(keepsLog: boolean): Promise<void> {
    await runWell('xfs_io', ['-x', '-c', keepsLog ? 'shutdown -f' : 'shutdown', this.directory]);
  }

  /** Unmounts it and mounts it again, as a start of the machine does. No process uses it any more. */
  async mount(): Promise<void> {
    await waitFor(() => spawnSync('umount', [this.directory]).status === 0, UNMOUNT_MS, `${this.directory} is unmounted`);
    // A program that has begun with a copy of all mounts, as tests of devices do, keeps the old one alive. It would be mounted again.
    await waitFor(() => !this.hasDevice(), RELEASED_MS, `No other mount namespace uses ${this.image}`);
    const { status, stderr } = spawnSync('mount', ['-o', 'loop', this.image, this.directory], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`The disk cannot be mounted any more: ${stderr}`);
  }

  private hasDevice(): boolean {
    return spawnSync('losetup', ['--noheadings', '--associated', this.image], { encoding: 'utf8' }).stdout !== '';
  }

  /** Space that is in use, metadata included. */
  usedBytes(): number {
    const { blocks, bfree, bsize } = statfsSync(this.directory);
    return (blocks - bfree) * bsize;
  }
}
