// A file system with reflink on a loop device, for tests of snapshots. Invariant: it is unmounted and its image is removed when the test
// ends; where it cannot be made, the test is skipped with a word.

import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'vitest';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { needTool } from '../programs/programs.ts';

/** mkfs.xfs refuses less than 300 MiB. The image is sparse. */
const DISK_BYTES = 512 * 1024 * 1024;

export type ReflinkKind = 'xfs' | 'btrfs';

const MKFS: Readonly<Record<ReflinkKind, readonly string[]>> = {
  xfs: ['mkfs.xfs', '-q', '-m', 'reflink=1'],
  btrfs: ['mkfs.btrfs', '-q'],
};

/** Returns the directory of the mounted file system. Skips the test without the right to mount, or without the programs. */
export function reflinkDisk(hosts: Hosts, host: Host, context: TestContext, kind: ReflinkKind = 'xfs'): string {
  const [program = '', ...args] = MKFS[kind];
  needTool(context, program, kind === 'xfs' ? 'xfsprogs' : 'btrfs-progs');
  const [image, mount] = [host.file('reflink.img'), host.file('reflink')];
  mkdirSync(mount);
  writeFileSync(image, '');
  truncateSync(image, DISK_BYTES);
  context.skip(spawnSync(program, [...args, image], { stdio: 'ignore' }).status !== 0, `needs ${program}`);
  const isMounted = spawnSync('mount', ['-o', 'loop', image, mount], { stdio: 'ignore' }).status === 0;
  context.skip(!isMounted, `needs the right to mount a loop device with ${kind} (root)`);
  hosts.onClean(() => {
    // Daemons of the test are about to end: a lazy unmount does not wait for them.
    spawnSync('umount', ['--lazy', mount], { stdio: 'ignore' });
    rmSync(image, { force: true });
  });
  return mount;
}
