// Checks whether the external programs that a test needs are installed. If a program is missing, the test is skipped with a message that
// names the package to install. The PATH of a unit test has only Node, the coreutils and the programs that the test names here
// (unit-setup.ts).

import { accessSync, constants, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'vitest';

/** Maps each program to the Debian package that contains the program. */
const PACKAGES = {
  awk: 'mawk',
  bash: 'bash',
  blkid: 'util-linux',
  buildah: 'buildah',
  cc: 'gcc and libc6-dev',
  fallocate: 'util-linux',
  flock: 'util-linux',
  git: 'git',
  grep: 'grep',
  gzip: 'gzip',
  'iscsi-test-cu': 'libiscsi-bin',
  losetup: 'mount',
  man: 'man-db',
  'mkfs.ext4': 'e2fsprogs',
  'mkfs.xfs': 'xfsprogs',
  mount: 'mount',
  openssl: 'openssl',
  perl: 'perl-base',
  python3: 'python3-minimal',
  'qemu-img': 'qemu-utils',
  'qemu-io': 'qemu-utils',
  'qemu-nbd': 'qemu-utils',
  sed: 'sed',
  setpriv: 'util-linux',
  tar: 'tar',
  taskset: 'util-linux',
  umount: 'mount',
  unshare: 'util-linux',
} as const;

/** These programs start other programs of their packages, so they get the PATH of the machine. */
const STARTERS: ReadonlySet<string> = new Set(['buildah', 'cc', 'man', 'python3']);

/**
 * Environment variable that holds the PATH of the machine during unit tests. Programs that a test names are added to the first folder of
 * the test's own PATH.
 */
export const MACHINE_PATH_VARIABLE = 'RSIO_MACHINE_PATH';

/** Skips the test if a program is missing. Call this function in a test or, for all tests of a file, in beforeEach. */
export function needPrograms(context: TestContext, ...programs: readonly (keyof typeof PACKAGES)[]): void {
  const machinePath = process.env[MACHINE_PATH_VARIABLE];
  for (const program of programs) {
    const file = programAt(program, machinePath ?? process.env['PATH'] ?? '');
    if (file === undefined) context.skip(`needs ${program}: install ${PACKAGES[program]}`);
    else if (machinePath !== undefined) putInPath(program, file, machinePath);
  }
}

/** Returns true if the program can be found in PATH and executed. */
export function isProgramThere(program: string): boolean {
  return programAt(program, process.env['PATH'] ?? '') !== undefined;
}

/** Returns the path of an executable program; undefined if no folder of `path` has the program. */
export function programAt(program: string, path: string): string | undefined {
  const folder = path.split(delimiter).find((each) => each !== '' && isExecutable(join(each, program)));
  return folder === undefined ? undefined : join(folder, program);
}

function putInPath(program: string, file: string, machinePath: string): void {
  const [folder = ''] = (process.env['PATH'] ?? '').split(delimiter);
  const at = join(folder, program);
  mkdirSync(folder, { recursive: true });
  if (existsSync(at)) return;
  if (STARTERS.has(program)) writeFileSync(at, `#!/bin/sh\nPATH='${machinePath}' exec '${file}' "$@"\n`, { mode: 0o755 });
  else symlinkSync(file, at);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
