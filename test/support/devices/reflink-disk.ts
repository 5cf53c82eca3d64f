// A file system with reflink on a loop device, for tests of snapshots. Invariants: the file system is unmounted and its image is removed
// before the host is removed. If this machine cannot make the file system, the test is skipped with a reason.

import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isProgramThere } from '@rsio/base/testing/needs';
import type { TestContext } from 'vitest';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';

/** mkfs.xfs refuses less than 300 MiB. The image is sparse. */
const DISK_BYTES = 512 * 1024 * 1024;

export type ReflinkKind = 'xfs' | 'btrfs';

const MKFS = { xfs: ['-q', '-m', 'reflink=1'], btrfs: ['-q'] } as const;

/**
 * Returns the directory of the mounted file system. Skips the test if this machine does not permit mounts, or if xfsprogs or btrfs-progs is
 * missing.
 */
export function reflinkDisk(hosts: Hosts, host: Host, context: TestContext, kind: ReflinkKind = 'xfs'): string {
  const mount = makeReflinkDisk(hosts, host, DISK_BYTES, kind);
  if (mount === null) context.skip(true, `needs mkfs.${kind} (install ${kind}progs), and the right to mount a loop device with it (root)`);
  return mount ?? '';
}

/**
 * Returns the directory of the mounted file system. Null: this machine cannot make the file system. The image of the file system is
 * `NAME.img`, beside the directory or in `folder`.
 */
export function makeReflinkDisk(
  hosts: Hosts,
  host: Host,
  sizeBytes = DISK_BYTES,
  kind: ReflinkKind = 'xfs',
  name = 'reflink',
  folder = host.root,
): string | null {
  const mkfs = `mkfs.${kind}`;
  if (!isProgramThere(mkfs)) return null;
  const [image, mount] = [path.join(folder, `${name}.img`), host.file(name)];
  mkdirSync(mount);
  writeFileSync(image, '');
  truncateSync(image, sizeBytes);
  const isMade = spawnSync(mkfs, [...MKFS[kind], image], { stdio: 'ignore' }).status === 0;
  if (!isMade || spawnSync('mount', ['-o', 'loop', image, mount], { stdio: 'ignore' }).status !== 0) return null;
  hosts.onClean(() => {
    // The unmount is lazy, because daemons of the test may still have files open.
    spawnSync('umount', ['--lazy', mount], { stdio: 'ignore' });
    rmSync(image, { force: true });
  });
  return mount;
}
