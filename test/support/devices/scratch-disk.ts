// Disks for measurements: an image on a loop device, or a zram device. A zram device is in memory, so that other programs that use the
// disks of the machine do not affect the figures. A page that repeats one value takes no memory in zram. Needs root. Invariant: `remove`
// leaves neither device nor image.

import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';

const REMOVE_TRIES = 100;
const SECTOR_BYTES = 512;
const FILL_BYTES = 4 << 20;
/** Index of the field with the number of read sectors in /sys/block/NAME/stat. */
const SECTORS_READ = 2;

export class ScratchDisk {
  private readonly path: string;
  private readonly mountOptions: readonly string[];
  private readonly removed: () => void;

  constructor(device: string, mountOptions: readonly string[], removed: () => void) {
    [this.path, this.mountOptions, this.removed] = [device, mountOptions, removed];
  }

  format(fileSystem: string): void {
    command(`mkfs.${fileSystem}`, '-f', '-K', this.path);
  }

  mount(directory: string): void {
    command('mount', ...this.mountOptions, this.path, directory);
  }

  /** Number of bytes that were read from the zram device, including metadata of its file system. */
  readBytes(): number {
    const fields = readFileSync(`/sys/block/${path.basename(this.path)}/stat`, 'utf8')
      .trim()
      .split(/ +/);
    return Number(fields[SECTORS_READ]) * SECTOR_BYTES;
  }

  /** Removes the disk. The caller has unmounted the disk before, perhaps lazily. */
  remove(): void {
    this.removed();
  }
}

export function imageDisk(folder: string, sizeBytes: number): ScratchDisk {
  const image = path.join(folder, `rsio-${process.pid}.img`);
  writeFileSync(image, '');
  truncateSync(image, sizeBytes);
  return new ScratchDisk(image, ['-o', 'loop'], () => rmSync(image, { force: true }));
}

export function memoryDisk(sizeBytes: number): ScratchDisk {
  const control = '/sys/class/zram-control';
  if (!existsSync(control)) throw new Error('This machine needs zram: modprobe zram');
  const number = readFileSync(`${control}/hot_add`, 'utf8').trim();
  writeFileSync(`/sys/block/zram${number}/disksize`, String(sizeBytes));
  return new ScratchDisk(`/dev/zram${number}`, [], () => {
    // The removal is repeated, because after a lazy unmount a last process may still use the device.
    for (let tries = 0; tries < REMOVE_TRIES; tries++) {
      if (spawnSync('sh', ['-c', `echo ${number} > ${control}/hot_remove`], { stdio: 'ignore' }).status === 0) return;
      spawnSync('sleep', ['0.1']);
    }
    throw new Error(`zram${number} is still there`);
  });
}

/**
 * Makes a file system on the disk, and mounts it in the folder NAME of the host. At the end, the daemons of the host are stopped, and the disk is
 * removed. Returns the folder.
 */
export function mountScratch(hosts: Hosts, host: Host, disk: ScratchDisk, fileSystem: string, name = 'disk'): string {
  const mount = host.file(name);
  hosts.onClean(async () => {
    // Ignores an error, because after a failure a daemon may no longer run.
    for (const program of ['rsiod', 'rssrv'] as const) await host.stop(program).catch(() => undefined);
    spawnSync('umount', ['--lazy', mount], { stdio: 'ignore' });
    disk.remove();
  });
  mkdirSync(mount);
  disk.format(fileSystem);
  disk.mount(mount);
  return mount;
}

/** Writes a whole file, and each piece with another byte. */
export function fillFile(file: string, sizeBytes: number): void {
  const opened = openSync(file, 'r+');
  for (let at = 0; at < sizeBytes; at += FILL_BYTES)
    writeSync(opened, Buffer.alloc(FILL_BYTES, 1 + ((at / FILL_BYTES) % 251)), 0, FILL_BYTES, at);
  fsyncSync(opened);
  closeSync(opened);
}

function command(program: string, ...words: readonly string[]): void {
  const { status, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}`);
}
