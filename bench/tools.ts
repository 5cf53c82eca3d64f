// Checks for programs that a section needs. If a program is missing, the reason names its Debian package.
// For the servers of the comparison see servers/makers.ts.

import { spawnSync } from 'node:child_process';

const FIO_NBD = 'fio has no nbd engine: install the Debian packages fio and libnbd0';

/** Why the program cannot be used; null: it is installed. */
export function missingTool(program: string, debianPackage: string): string | null {
  const found = spawnSync('sh', ['-c', 'command -v -- "$1"', 'sh', program], { stdio: 'ignore' }).status === 0;
  return found ? null : `${program} is not here: install the Debian package ${debianPackage}`;
}

/** Why fio cannot be used with NBD; null: fio and the library that it needs for NBD are installed. */
export function missingFio(): string | null {
  const missing = missingTool('fio', 'fio');
  if (missing !== null) return missing;
  return /^\s*nbd$/m.test(spawnSync('fio', ['--enghelp'], { encoding: 'utf8' }).stdout) ? null : FIO_NBD;
}
