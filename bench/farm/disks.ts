// Disks for the farm section: files in memory, each reached by loop devices, so that several servers of this machine reach one disk as several
// machines do. Needs root. Invariant: the servers that use the disks end first, then the mounts, then the devices, then the files.

import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { mountTable } from '@rsio/base/daemon/mount-table';
import { RsError } from '@rsio/base/lib/errors';
import type { Host } from '@rsio/test/support/hosts/host';
import type { Hosts } from '@rsio/test/support/hosts/hosts';
import { waitFor } from '@rsio/test/support/programs/wait-for';
import { newFolder } from '../data-folder.ts';

const SECTOR_BYTES = 512;
/** Indexes of the fields with the sectors that were read and written in /sys/block/NAME/stat. */
const [SECTORS_READ, SECTORS_WRITTEN] = [2, 6];

const ENDED_MS = 30_000;

export class FarmDisks {
  /** Servers that use the disks. */
  readonly users: Host[] = [];
  private readonly folder: string;
  private readonly devices: string[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  static make(hosts: Hosts, parent: string): FarmDisks {
    const disks = new FarmDisks(newFolder(parent));
    hosts.onClean(() => disks.end());
    return disks;
  }

  /** Makes a disk, and returns the paths of `count` devices over it. */
  make(name: string, sizeBytes: number, count = 1): readonly string[] {
    const file = join(this.folder, name);
    const descriptor = openSync(file, 'wx');
    ftruncateSync(descriptor, sizeBytes);
    closeSync(descriptor);
    return Array.from({ length: count }, () => {
      const device = command('losetup', '--find', '--show', file).trim();
      this.devices.push(device);
      return device;
    });
  }

  /** Bytes that were read from all devices, and bytes that were written to them, so far. */
  transferred(): { readonly read: number; readonly written: number } {
    const stats = this.devices.map((device) =>
      readFileSync(`/sys/block/${basename(device)}/stat`, 'utf8')
        .trim()
        .split(/ +/),
    );
    const bytes = (field: number): number => stats.reduce((sum, fields) => sum + Number(fields[field]) * SECTOR_BYTES, 0);
    return { read: bytes(SECTORS_READ), written: bytes(SECTORS_WRITTEN) };
  }

  private async end(): Promise<void> {
    const processes = (): number[] => this.users.flatMap((host) => host.processes());
    for (const pid of processes()) process.kill(pid, 'SIGKILL');
    await waitFor(() => processes().length === 0, ENDED_MS, 'The servers have ended');
    const over = losetup().filter(({ back }) => this.devices.includes(back));
    const ours = new Set([...this.devices, ...over.map(({ name }) => name)].map(deviceNumber));
    // The kernel closes the last files of a process a little after the process has ended.
    const isUnmounted = async (): Promise<boolean> => {
      const mounts = (await mountTable()).filter(({ device }) => ours.has(device));
      return mounts.every(({ mountPoint }) => spawnSync('umount', [mountPoint]).status === 0);
    };
    await waitFor(isUnmounted, ENDED_MS, 'The file systems of the disks are unmounted');
    for (const name of [...over.map((one) => one.name), ...this.devices]) spawnSync('losetup', ['--detach', name]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Makes an XFS on the device as rssrv makes it for a shared pool, and mounts it with the same options. */
export function mountLocal(device: string, directory: string): void {
  command('mkfs.xfs', '-q', '-m', 'reflink=1', device);
  command('mount', '-o', 'noatime,discard,nosuid,nodev,noexec', device, directory);
}

function losetup(): { readonly name: string; readonly back: string }[] {
  const lines = command('losetup', '--noheadings', '--output', 'NAME,BACK-FILE').trim().split('\n');
  return lines.map((line) => line.trim().split(/\s+/)).map(([name = '', back = '']) => ({ name, back }));
}

function deviceNumber(path: string): string {
  return readFileSync(`/sys/block/${basename(path)}/dev`, 'utf8').trim();
}

function command(program: string, ...words: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  if (status !== 0) throw new RsError('E_SYSTEM', `${program} ${words.join(' ')} ended with ${status}: ${stderr.trim()}`);
  return stdout;
}
