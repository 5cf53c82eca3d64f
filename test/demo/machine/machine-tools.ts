// Optional programs of the machine that the demo uses: finds their paths, and names the Debian package of a missing program. shell.ts runs
// them.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Folders of mke2fs and losetup, which the PATH of a plain user lacks. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/sbin'];

const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  coreutils: ['cp', 'dd', 'ls', 'rm'],
  diffutils: ['cmp', 'diff'],
  e2fsprogs: ['e2fsck', 'mke2fs', 'mkfs.ext4'],
  'libnbd-bin': ['nbdcopy'],
  mount: ['losetup', 'mount', 'umount'],
  'util-linux': ['blockdev', 'fstrim', 'lsblk', 'unshare'],
  xfsprogs: ['mkfs.xfs', 'xfs_repair'],
};

/** Returns PATH with the folders of administrators' programs. */
export function systemPath(): string {
  return [process.env['PATH'] ?? '', ...SYSTEM_FOLDERS].filter((folder) => folder !== '').join(delimiter);
}

/** Returns the path of a program of the machine; null: the program is missing. */
export function findTool(name: string): string | null {
  const folders = systemPath()
    .split(delimiter)
    .filter((folder) => folder.startsWith('/'));
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

/** Returns a part of a sentence that says that the program is missing and which package has it. */
export function missingTool(name: string): string {
  const [debianPackage] = Object.entries(PACKAGES).find(([, tools]) => tools.includes(name)) ?? [name];
  return `no ${name} here (Debian: ${debianPackage})`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
